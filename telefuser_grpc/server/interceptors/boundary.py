"""Where a call enters and leaves: binds the request id and translates errors, once.

A native caller gets a `google.rpc.Status` with details. A call that came through the gateway's
transcoder gets the HTTP status and the documented JSON body as trailing metadata, which the
gateway puts in place.
"""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from telefuser_grpc.errors import TeleFuserError
from telefuser_grpc.server.openai.last_word import last_word
from telefuser_grpc.server.rest.bodies import documented_wording
from telefuser_grpc.server.rpc import Context, Handler
from telefuser_grpc.server.wording import Wording, Wordings

DOMAIN = "telefuser"
OWN_SERVICES = ("/telefuser.", "/openai.", "/wan.", "/image_to_video.", "/envoy.")
# Together, percent-encoded where HTTP/2 asks for it, below the 8 KiB that gRPC clients take.
MAX_MESSAGE_BYTES = 700
MAX_TEXT_BYTES = 400
MAX_VIOLATIONS_BYTES = 4000
DOCUMENTED = Wordings(documented_wording())
FAULT = "The server met a fault of its own; its log has the details"

Stream: TypeAlias = Callable[..., AsyncGenerator[Any, None]]

logger = structlog.get_logger()


class Boundary(grpc.aio.ServerInterceptor):
    """Wraps every method of our own services.

    Args:
        wordings: How each interface words what a REST caller reads.
    """

    def __init__(self, wordings: Wordings = DOCUMENTED) -> None:
        self._wordings = wordings
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None or not method.startswith(OWN_SERVICES):
                return handler
            self._wrapped[method] = _wrap(handler, self._wordings.of(method))
        return self._wrapped[method]


def _wrap(handler: Any, wording: Wording) -> Handler:
    codec = (handler.request_deserializer, handler.response_serializer)
    if handler.response_streaming:
        stream = _guarded_stream(handler.stream_stream or handler.unary_stream, wording)
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(stream, *codec)
        return grpc.unary_stream_rpc_method_handler(stream, *codec)
    unary = _guarded(handler.stream_unary or handler.unary_unary, wording)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(unary, *codec)
    return grpc.unary_unary_rpc_method_handler(unary, *codec)


def _guarded(
    method: Callable[..., Awaitable[Any]], wording: Wording
) -> Callable[..., Awaitable[Any]]:
    async def call(request: Any, context: Context) -> Any:
        is_rest = _enter(context)
        try:
            return await method(request, context)
        except TeleFuserError as error:
            await refuse(context, error, wording if is_rest else None)
        except Exception:
            logger.exception("call failed", method=method.__name__)
            await refuse(context, TeleFuserError(FAULT), wording if is_rest else None)

    return call


def _guarded_stream(method: Stream, wording: Wording) -> Stream:
    async def call(request: Any, context: Context) -> AsyncGenerator[Any, None]:
        is_rest = _enter(context)
        response = None
        try:
            async with aclosing(method(request, context)) as responses:
                async for response in responses:
                    yield response
            return
        except TeleFuserError as error:
            refusal = error
        except Exception:
            logger.exception("stream failed", method=method.__name__)
            refusal = TeleFuserError(FAULT)
        if is_rest and (event := last_word(response, wording(refusal))):
            yield event
        await refuse(context, refusal, wording if is_rest else None)

    return call


def _enter(context: Context) -> bool:
    """Binds the request id to the log and tells whether the call was transcoded from REST."""
    is_rest = False
    structlog.contextvars.clear_contextvars()
    for key, value in context.invocation_metadata() or ():
        if key == "x-request-id":
            structlog.contextvars.bind_contextvars(request_id=value)
        elif key == "x-envoy-original-path":
            is_rest = True
    return is_rest


async def refuse(context: Context, error: TeleFuserError, wording: Wording | None) -> NoReturn:
    """Ends the call with an error: as an interface words it, or as a gRPC caller reads it."""
    if wording is not None:
        refusal = wording(error)
        metadata = (
            ("x-http-status", str(refusal.status)),
            ("x-error-json", refusal.json),
            *refusal.headers.items(),
        )
        await context.abort(grpc.StatusCode[error.code], error.reason, metadata)
    await context.abort_with_status(rpc_status.to_status(status_of(error)))
    raise AssertionError("abort returned")


def status_of(error: TeleFuserError) -> status_pb2.Status:
    """Returns the error as `google.rpc.Status` with its details, cut to what clients take."""
    metadata = {name: _cut(value) for name, value in error.metadata.items()}
    details = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)]
    if error.violations:
        details.append(error_details_pb2.BadRequest(field_violations=_violations(error)))
    if error.retry_after_seconds is not None:
        delay = Duration(seconds=math.ceil(error.retry_after_seconds))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(
        code=grpc.StatusCode[error.code].value[0],
        message=_cut(error.message, MAX_MESSAGE_BYTES),
        details=[_packed(each) for each in details],
    )


def _violations(error: TeleFuserError) -> Iterator[Any]:
    room = MAX_VIOLATIONS_BYTES
    for each in error.violations:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_cut(each.field), description=_cut(each.message), reason=each.type.upper()
        )
        room -= violation.ByteSize()
        if room < 0:
            return
        yield violation


def _cut(text: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    return text.encode()[:max_bytes].decode(errors="ignore")


def _packed(message: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
