"""`telefuser stream-serve`: runs sessions with a stream pipeline until it is told to stop."""

from pathlib import Path
from typing import Annotated

import typer

from telefuser_grpc.cli.serving_options import (
    NETWORK,
    RESOURCES,
    LogFormatOption,
    NoGateway,
    OtlpEndpoint,
    SecurityLevelOption,
    SkipValidation,
)

DEFAULTS = {"port": 8088, "host": "0.0.0.0"}


def stream_serve(
    file: Annotated[
        Path,
        typer.Argument(metavar="PIPE_PATH", help="The file, which defines get_service()."),
    ],
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            "-p",
            min=0,
            max=65535,
            metavar="PORT",
            help="Port to listen on; 0 takes a free one.",
            show_default="8088",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Address to listen on; 127.0.0.1 keeps other machines out.",
            show_default="0.0.0.0",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    no_gateway: NoGateway = False,
    gpu_num: Annotated[
        int | None,
        typer.Option(
            "--gpu-num",
            "-g",
            min=1,
            metavar="N",
            help="GPUs of the pipeline.",
            show_default="1",
            rich_help_panel=RESOURCES,
        ),
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            "--cache-dir",
            "-c",
            metavar="FOLDER",
            help="Where temporary files go.",
            show_default="work_dirs/server_cache",
            rich_help_panel=RESOURCES,
        ),
    ] = None,
    security_level: SecurityLevelOption = None,
    skip_validation: SkipValidation = False,
    log_format: LogFormatOption = None,
    otlp_endpoint: OtlpEndpoint = None,
) -> None:
    """Serve live sessions with a stream pipeline: over WebRTC for browsers, over gRPC for programs.

    Every option is also TELEFUSER_<NAME> in the environment or in a file `.env`.
    An option wins. `telefuser config` lists these names and what holds now.
    """
    from telefuser_grpc.cli import serving

    serving.start(
        {
            "pipe_path": file,
            "port": port,
            "host": host,
            "gateway": False if no_gateway else None,
            "parallelism": gpu_num,
            "cache_dir": cache_dir,
            "security_level": security_level,
            "log_format": log_format,
            "otlp_endpoint": otlp_endpoint,
        },
        skip_validation=skip_validation,
        serves="sessions",
        defaults=DEFAULTS,
    )
