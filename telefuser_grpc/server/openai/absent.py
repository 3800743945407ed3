"""What stands in place of an interface that is switched off: paths that are not found."""

from collections.abc import AsyncIterator
from typing import Any

import grpc

from telefuser_grpc.server.openai.image_errors import PathNotFound
from telefuser_grpc.server.rpc import Context, Handler


class Absent(grpc.GenericRpcHandler):
    """Refuses every RPC of a package."""

    def __init__(self, package: str) -> None:
        self._beginning = f"/{package}."

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        if not handler_call_details.method.startswith(self._beginning):
            return None
        return grpc.stream_stream_rpc_method_handler(_refuse)


async def _refuse(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
    raise PathNotFound
    yield  # makes it a stream, which a unary answer is too
