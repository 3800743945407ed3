"""`telefuser serve`: runs the service until it is told to stop."""

from pathlib import Path
from typing import Annotated

import typer

from telefuser_grpc.cli.options import CacheMode, Kind
from telefuser_grpc.cli.serving_options import (
    NETWORK,
    PIPELINE,
    RESOURCES,
    SECURITY,
    LogFormatOption,
    NoGateway,
    OtlpEndpoint,
    SecurityLevelOption,
    SkipValidation,
)


def serve(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="PIPE_PATH",
            help="The pipeline file. Without one a small embedded model is served.",
        ),
    ] = None,
    pipe_path: Annotated[
        Path | None,
        typer.Option(
            "--pipe_path",
            "--pipe-path",
            "-pp",
            metavar="FILE",
            help="The pipeline file, named as an option.",
            rich_help_panel=PIPELINE,
        ),
    ] = None,
    task: Annotated[
        Kind | None,
        typer.Option(
            "--task",
            "-t",
            case_sensitive=False,
            metavar="KIND",
            help=f"Kind of task, for a file without a contract: {', '.join(Kind)}.",
            show_default="i2v for such a file",
            rich_help_panel=PIPELINE,
        ),
    ] = None,
    warmup: Annotated[
        bool | None,
        typer.Option(
            "--warmup/--no-warmup",
            help="Run once with the defaults before the first task, which then waits less.",
            show_default="no-warmup",
            rich_help_panel=PIPELINE,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            "-p",
            min=0,
            max=65535,
            metavar="PORT",
            help="Port to listen on; 0 takes a free one.",
            show_default="8000",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Address to listen on; 0.0.0.0 lets other machines in.",
            show_default="127.0.0.1",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    no_gateway: NoGateway = False,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            "--cache-dir",
            "-c",
            metavar="FOLDER",
            help="Where tasks and their files are kept.",
            show_default="work_dirs/server_cache",
            rich_help_panel=RESOURCES,
        ),
    ] = None,
    parallelism: Annotated[
        int | None,
        typer.Option(
            "--parallelism",
            "-g",
            "--gpu-num",
            min=1,
            metavar="N",
            help="GPUs in all; the replicas share them evenly.",
            show_default="one per replica",
            rich_help_panel=RESOURCES,
        ),
    ] = None,
    num_replicas: Annotated[
        int | None,
        typer.Option(
            "--num-replicas",
            "-n",
            min=1,
            max=16,
            metavar="N",
            help="Copies of the pipeline; as many tasks run at once.",
            show_default="1",
            rich_help_panel=RESOURCES,
        ),
    ] = None,
    drain_seconds: Annotated[
        float | None,
        typer.Option(
            "--drain-seconds",
            min=0,
            metavar="SECONDS",
            help="How long running tasks may end at a stop.",
            show_default="5",
            rich_help_panel=RESOURCES,
        ),
    ] = None,
    security_level: SecurityLevelOption = None,
    skip_validation: SkipValidation = False,
    validate_only: Annotated[
        bool,
        typer.Option(
            "--validate-only",
            help="Print what the file is found to do, and start nothing: 0 safe, 1 unsafe.",
            rich_help_panel=SECURITY,
        ),
    ] = False,
    log_format: LogFormatOption = None,
    otlp_endpoint: OtlpEndpoint = None,
    latent_cache: Annotated[
        bool | None,
        typer.Option("--enable-latent-cache/--disable-latent-cache", hidden=True),
    ] = None,
    cache_mode: Annotated[
        CacheMode | None,
        typer.Option("--cache-mode", case_sensitive=False, hidden=True),
    ] = None,
) -> None:
    """Serve a pipeline over gRPC and REST, on one port.

    Every option is also TELEFUSER_<NAME> in the environment or in a file `.env`.
    An option wins. `telefuser config` lists these names and what holds now.

    Accepted for programs that pass them, and without effect:
    --enable-latent-cache, --disable-latent-cache, --cache-mode.
    """
    if file and pipe_path and file != pipe_path:
        raise typer.BadParameter("name the pipeline file once", param_hint="PIPE_PATH")
    if skip_validation and validate_only:
        raise typer.BadParameter("contradicts --skip-validation", param_hint="--validate-only")
    from telefuser_grpc.cli import serving

    explicit = {
        "pipe_path": file or pipe_path,
        "task": task,
        "warmup": warmup,
        "port": port,
        "host": host,
        "gateway": False if no_gateway else None,
        "cache_dir": cache_dir,
        "parallelism": parallelism,
        "num_replicas": num_replicas,
        "drain_seconds": drain_seconds,
        "security_level": security_level,
        "log_format": log_format,
        "otlp_endpoint": otlp_endpoint,
    }
    if validate_only:
        serving.report(explicit)
    cache = {"--enable-latent-cache": latent_cache, "--cache-mode": cache_mode}
    serving.start(
        explicit,
        ineffective=[option for option, value in cache.items() if value],
        skip_validation=skip_validation,
    )
