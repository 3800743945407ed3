"""What a deployment decides about its gateway."""

from dataclasses import dataclass
from pathlib import Path

from telefuser_grpc.domain.api_key import ApiKey
from telefuser_grpc.gateway.descriptors import Face

MEBIBYTE = 1024 * 1024


class GatewayError(Exception):
    """The gateway cannot do its work; the text says why and what mends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How many expensive requests a client may make; of reads it may make ten times as many.

    Attributes:
        requests_per_minute: The requests that a window allows, evenly given back over it.
        burst: How many may come beyond them at once; 0 refuses the first one too many.
        window_seconds: What counts as the minute.
    """

    requests_per_minute: int = 60
    burst: int = 10
    window_seconds: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """How the gateway listens, where it forwards and what it allows.

    Attributes:
        upstream: The gRPC server: an absolute path of a UNIX socket, or `host:port`.
        face: What the server is for.
        host: The address to listen on: an IP address, or a name that has one.
        port: The port to listen on; 0 lets `Gateway` choose a free one.
        ui_port: Where it listens too, for people: then `/` leads to a page that uses the service.
        artifact_root: Where the artifacts lie, if gateway and server share that file system. With
            None files are streamed by the server.
        admin_socket: Envoy's admin interface; a relative path is one in Envoy's working folder.
        max_json_body_bytes: The largest body of a REST request.
        max_upload_bytes: The largest body of a streamed REST upload: all files of a form and its
            fields.
        max_response_body_bytes: The largest body of a REST answer that is not streamed.
        api_keys: Whose keys let a call in; without any, every call is.
        rate_limit: How often one client may ask; with None as often as it likes.
        trusted_proxies: How many proxies stand in front of it that append to `X-Forwarded-For` whom
            they speak for. With 0 nobody is believed: the client is who connects.
        cors_origins: Web pages that may call: origins, or `*` for all.
        otlp_endpoint: `host:port` of an OTLP collector (gRPC, plaintext).
        service_name: The gateway's name in traces.
        access_log: Whether every request is logged to stdout, as JSON.
        rpc_timeout_seconds: How long a REST call may take that does not stream; gRPC callers bring
            their own deadlines. An upload may not be silent for longer.
        long_rpc_timeout_seconds: The same for calls that answer with what they made.
        stream_idle_timeout_seconds: How long a stream or a gRPC call may be silent.
        drain_timeout_seconds: How long a closing connection may linger.
        max_connections: How many connections may be open.
    """

    upstream: str
    face: Face = Face.TASKS
    host: str = "127.0.0.1"
    port: int = 8000
    ui_port: int | None = None
    artifact_root: Path | None = None
    admin_socket: Path = Path("admin.sock")
    max_json_body_bytes: int = 32 * MEBIBYTE
    max_upload_bytes: int = 401 * MEBIBYTE
    max_response_body_bytes: int = 64 * MEBIBYTE
    api_keys: tuple[ApiKey, ...] = ()
    rate_limit: RateLimit | None = None
    trusted_proxies: int = 0
    cors_origins: tuple[str, ...] = ()
    otlp_endpoint: str | None = None
    service_name: str = "telefuser-gateway"
    access_log: bool = True
    rpc_timeout_seconds: float = 60.0
    long_rpc_timeout_seconds: float = 600.0
    stream_idle_timeout_seconds: float = 3600.0
    drain_timeout_seconds: float = 5.0
    max_connections: int = 2000
