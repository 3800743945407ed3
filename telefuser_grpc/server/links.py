"""The addresses under which callers reach this service."""

from telefuser_grpc.server.rpc import Context


class Links:
    """Writes absolute links.

    Args:
        base_url: Where callers find the service, without a slash at the end; "" for where each
            caller has found it.
    """

    def __init__(self, base_url: str = "") -> None:
        self._base_url = base_url

    def to(self, path: str, context: Context) -> str:
        """Returns the address of a path that begins with a slash, for the caller of a call."""
        return (self._base_url or _found_at(context)) + path


def _found_at(context: Context) -> str:
    """Says what the gateway says; a caller without a gateway gets a path."""
    metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
    host = metadata.get("x-forwarded-host")
    return f"{metadata.get('x-forwarded-proto', 'http')}://{host}" if host else ""
