"""`telefuser serve`: runs the service until it is told to stop."""

from pathlib import Path
from typing import Annotated

import typer

from telefuser_grpc.cli.options import Kind, LogFormat
from telefuser_grpc.cli.output import fail


def serve(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PIPE_PATH]",
            help="The pipeline file. Without one a small embedded model is served.",
        ),
    ] = None,
    pipe_path: Annotated[
        Path | None,
        typer.Option(
            "--pipe_path", "--pipe-path", "-pp", help="The pipeline file, named as an option."
        ),
    ] = None,
    task: Annotated[
        Kind | None,
        typer.Option(
            "--task",
            "-t",
            case_sensitive=False,
            help="Kind of task, for a file that declares no contract.",
            show_default="i2v for such a file",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65535, help="Port.", show_default="8000"),
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address.", show_default="127.0.0.1")
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            "--cache-dir",
            "-c",
            help="Where tasks and their files are kept.",
            show_default="work_dirs/server_cache",
        ),
    ] = None,
    parallelism: Annotated[
        int | None,
        typer.Option("--parallelism", "-g", "--gpu-num", min=1, help="GPUs.", show_default="1"),
    ] = None,
    num_replicas: Annotated[
        int | None,
        typer.Option(
            "--num-replicas",
            "-n",
            min=1,
            help="Copies of the pipeline that share the GPUs.",
            show_default="1",
        ),
    ] = None,
    no_gateway: Annotated[
        bool, typer.Option("--no-gateway", help="Serve gRPC alone, without Envoy and REST.")
    ] = False,
    log_format: Annotated[
        LogFormat | None, typer.Option("--log-format", help="Form of a log line.")
    ] = None,
    otlp_endpoint: Annotated[
        str | None,
        typer.Option("--otlp-endpoint", metavar="HOST:PORT", help="Collector of traces."),
    ] = None,
    drain_seconds: Annotated[
        float | None,
        typer.Option("--drain-seconds", min=0, help="How long running tasks may end at a stop."),
    ] = None,
) -> None:
    """Serve a pipeline over gRPC and REST, on one port.

    Every option is also TELEFUSER_<NAME> in the environment or in a file `.env`; an option wins.
    """
    if file and pipe_path and file != pipe_path:
        raise typer.BadParameter("name the pipeline file once", param_hint="PIPE_PATH")
    _serve(
        pipe_path=file or pipe_path,
        task=task,
        port=port,
        host=host,
        cache_dir=cache_dir,
        parallelism=parallelism,
        num_replicas=num_replicas,
        gateway=False if no_gateway else None,
        log_format=log_format,
        otlp_endpoint=otlp_endpoint,
        drain_seconds=drain_seconds,
    )


def _serve(**explicit: object) -> None:
    from telefuser_grpc.app import serve as run
    from telefuser_grpc.config import ConfigError, load_settings

    try:
        settings = load_settings(**explicit)
    except ConfigError as error:
        fail(str(error))
    raise typer.Exit(run(settings))
