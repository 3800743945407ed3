"""The options that `serve` and `stream-serve` share."""

from typing import Annotated

import typer

from telefuser_grpc.cli.options import LogFormat, SecurityLevel

PIPELINE = "Pipeline"
NETWORK = "Network"
RESOURCES = "Resources"
SECURITY = "Security"
LOGGING = "Logging"

NoGateway = Annotated[
    bool,
    typer.Option(
        "--no-gateway",
        help="Serve gRPC alone, without Envoy and REST.",
        rich_help_panel=NETWORK,
    ),
]
SecurityLevelOption = Annotated[
    SecurityLevel | None,
    typer.Option(
        "--security-level",
        case_sensitive=False,
        metavar="LEVEL",
        help=f"How closely the file is read before it is loaded: {', '.join(SecurityLevel)}.",
        show_default="strict",
        rich_help_panel=SECURITY,
    ),
]
SkipValidation = Annotated[
    bool,
    typer.Option(
        "--skip-validation",
        help="Load the file unread; only for code that you trust.",
        rich_help_panel=SECURITY,
    ),
]
LogFormatOption = Annotated[
    LogFormat | None,
    typer.Option(
        "--log-format",
        case_sensitive=False,
        help="Form of a log line.",
        show_default="console",
        rich_help_panel=LOGGING,
    ),
]
OtlpEndpoint = Annotated[
    str | None,
    typer.Option(
        "--otlp-endpoint",
        metavar="HOST:PORT",
        help="Collector of traces.",
        rich_help_panel=LOGGING,
    ),
]
