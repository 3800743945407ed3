"""`telefuser gateway`: what an operator needs to run Envoy in a place of its own."""

from pathlib import Path
from typing import Annotated

import typer

from telefuser_grpc.cli.output import fail

app = typer.Typer(name="gateway", help="Configure the Envoy sidecar.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def render(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    upstream: Annotated[
        str,
        typer.Option(
            "--upstream",
            metavar="HOST:PORT|SOCKET",
            help="The gRPC server that `telefuser serve --no-gateway` runs.",
        ),
    ],
    sessions: Annotated[
        bool, typer.Option("--sessions", help="For `telefuser stream-serve`, not `serve`.")
    ] = False,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "0.0.0.0",
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=65535, help="Port.")] = 8000,
    ui_port: Annotated[
        int | None,
        typer.Option(
            "--ui-port", min=1, max=65535, help="Further port, where / is a page for people."
        ),
    ] = None,
    artifact_root: Annotated[
        Path | None,
        typer.Option(
            "--artifact-root", help="Where the artifacts lie, if Envoy sees the same disk."
        ),
    ] = None,
    cors_origins: Annotated[
        list[str] | None,
        typer.Option("--cors-origin", help="A web page's origin that may call, or *."),
    ] = None,
    api_keys_file: Annotated[
        Path | None,
        typer.Option(
            "--api-keys-file",
            envvar="TELEFUSER_API_KEYS_FILE",
            help="Who may call: a line `name: key` each. Render again to change them.",
        ),
    ] = None,
    rate_limit_rpm: Annotated[
        int,
        typer.Option(
            "--rate-limit-rpm", min=0, help="Requests of a client per minute; 0: no limit."
        ),
    ] = 60,
    rate_limit_burst: Annotated[
        int, typer.Option("--rate-limit-burst", min=0, help="Requests on top, at once.")
    ] = 10,
    trusted_proxies: Annotated[
        int,
        typer.Option(
            "--trusted-proxies",
            min=0,
            help="Proxies in front that say in X-Forwarded-For who the client is.",
        ),
    ] = 0,
    otlp_endpoint: Annotated[
        str | None,
        typer.Option("--otlp-endpoint", metavar="HOST:PORT", help="Collector of traces."),
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="Log every request.")
    ] = True,
) -> None:
    """Write Envoy's configuration, for a sidecar in its own container.

    Start Envoy inside the folder: envoy -c envoy.yaml
    """
    from telefuser_grpc.app.keys import KeySource
    from telefuser_grpc.config import ConfigError
    from telefuser_grpc.gateway.descriptors import Face
    from telefuser_grpc.gateway.options import GatewayError, GatewayOptions, RateLimit
    from telefuser_grpc.gateway.render import write

    limit = RateLimit(requests_per_minute=rate_limit_rpm, burst=rate_limit_burst)
    try:
        keys = KeySource(file=api_keys_file).read()
    except ConfigError as error:
        fail(str(error))
    options = GatewayOptions(
        upstream=upstream,
        face=Face.SESSIONS if sessions else Face.TASKS,
        host=host,
        port=port,
        ui_port=ui_port,
        artifact_root=artifact_root.absolute() if artifact_root else None,
        cors_origins=tuple(cors_origins or ()),
        api_keys=keys,
        rate_limit=limit if rate_limit_rpm else None,
        trusted_proxies=trusted_proxies,
        otlp_endpoint=otlp_endpoint,
        access_log=access_log,
    )
    try:
        configuration = write(options, out)
    except GatewayError as error:
        fail(str(error))
    print(f"wrote {configuration}; start Envoy in that folder: envoy -c {configuration.name}")
