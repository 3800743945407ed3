"""Lets in who has an API key, and says to the rest of a call whose it is.

It stands inside of `Boundary`, which words its refusals and keeps what it has wrapped.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

import grpc
import structlog

from telefuser_grpc.errors import Unauthenticated
from telefuser_grpc.scheduler.callers import set_caller
from telefuser_grpc.server.interceptors.boundary import OWN_SERVICES, refuse
from telefuser_grpc.server.keys import Caller, Identify, KeyRing
from telefuser_grpc.server.rpc import Context, Handler

PUBLIC_SERVICE = "/grpc.health.v1.Health/"
PUBLIC_CALLS = frozenset(
    {
        "/telefuser.rest.v1.RestSystemService/GetHealth",
        "/telefuser.rest.v1.RestSystemService/GetReadiness",
        "/telefuser.rest.v1.RestDocsService/GetOpenApi",
        "/telefuser.rest.v1.RestDocsService/GetSwaggerUi",
        "/telefuser.rest.v1.RestDocsService/GetRedoc",
        "/telefuser.rest.v1.RestDocsService/GetDocsAsset",
        "/image_to_video.v1.GenerationService/GetHealth",
        "/wan.v1.WanService/GetVideoFile",  # a name that nobody can guess is the key
    }
)
PUBLIC_FILES = "/videos/"
FILE_CHECK = "/envoy.service.auth.v3.Authorization/Check"  # it calls `enter_file`
DOWNLOADS = frozenset(  # they may finish when their key is revoked
    {
        "/telefuser.v1.ArtifactService/DownloadArtifact",
        "/telefuser.rest.v1.RestFileService/DownloadFile",
        "/openai.v1.ImageService/GetImageContent",
        "/openai.v1.VideoService/GetVideoContent",
        "/image_to_video.v1.GenerationService/GetOutput",
    }
)


class KeyCheck(grpc.aio.ServerInterceptor):
    """Refuses calls of nobody, and ends the streams of revoked keys.

    Args:
        identify: Finds the caller in the metadata of a call.
        ring: Says when a key is revoked.
    """

    def __init__(self, identify: Identify, ring: KeyRing) -> None:
        self._identify = identify
        self._ring = ring

    def enter_file(self, path: str, headers: Mapping[str, str]) -> None:
        """Lets in for whom the gateway asks about a file. Raises Unauthenticated."""
        if not path.startswith(PUBLIC_FILES):
            _say(self._identify(headers))

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        is_public = method in PUBLIC_CALLS or method.startswith(PUBLIC_SERVICE)
        if handler is None or is_public or method == FILE_CHECK:
            return handler
        if handler.response_streaming:
            return self._stream(handler, method)
        return _unary(handler, self._checked(handler.stream_unary or handler.unary_unary, method))

    def _checked(self, behavior: Any, method: str) -> Any:
        async def call(request: Any, context: Context) -> Any:
            await self._enter(context, method)
            return await behavior(request, context)

        return call

    def _stream(self, handler: Any, method: str) -> Handler:
        behavior = handler.stream_stream or handler.unary_stream
        may_finish = method in DOWNLOADS or not method.startswith(OWN_SERVICES)
        checked = self._finishing if may_finish else self._following
        call = checked(behavior, method)
        codec = (handler.request_deserializer, handler.response_serializer)
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(call, *codec)
        return grpc.unary_stream_rpc_method_handler(call, *codec)

    def _finishing(self, behavior: Any, method: str) -> Any:
        async def call(request: Any, context: Context) -> AsyncGenerator[Any, None]:
            await self._enter(context, method)
            async with aclosing(behavior(request, context)) as responses:
                async for response in responses:
                    yield response

        return call

    def _following(self, behavior: Any, method: str) -> Any:
        async def call(request: Any, context: Context) -> AsyncGenerator[Any, None]:
            caller = await self._enter(context, method)
            with self._ring.opened(caller) as stream:
                async with aclosing(behavior(request, context)) as responses:
                    while (response := await stream.next(responses)) is not None:
                        yield response

        return call

    async def _enter(self, context: Context, method: str) -> Caller:
        try:
            caller = self._identify(_headers(context))
        except Unauthenticated as error:
            if method.startswith(OWN_SERVICES):
                raise
            await refuse(context, error, None)
        _say(caller)
        return caller


def _say(caller: Caller) -> None:
    set_caller(caller.name, key_id=caller.key_id)
    structlog.contextvars.bind_contextvars(caller=caller.name)


def _headers(context: Context) -> Mapping[str, str]:
    return {key: str(value) for key, value in context.invocation_metadata() or ()}


def _unary(handler: Any, call: Any) -> Handler:
    codec = (handler.request_deserializer, handler.response_serializer)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(call, *codec)
    return grpc.unary_unary_rpc_method_handler(call, *codec)
