"""One span for each RPC, below the caller's."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import grpc
from grpc import aio
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from telefuser_grpc.telemetry.rpc import Context, Handler, ending, header, wrapped
from telefuser_grpc.telemetry.tracing import context_from

FAULTS = frozenset(  # of the server; the other codes are the caller's doing
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


class TracingInterceptor(aio.ServerInterceptor):
    """Traces every RPC but those of gRPC itself: health, reflection, channelz.

    It goes first among the interceptors, so that the others and the logs are inside the span.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer or trace.get_tracer("telefuser")

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith("/grpc."):
            return handler
        parent = header(handler_call_details.invocation_metadata, "traceparent")
        return wrapped(handler, lambda context: self._span(method, parent, context))

    @contextmanager
    def _span(self, method: str, parent: str, context: Context) -> Iterator[None]:
        service, _, name = method.lstrip("/").partition("/")
        opened = self._tracer.start_as_current_span(
            f"{service}/{name}",
            context_from(parent),
            SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
            record_exception=False,
            set_status_on_exception=False,
        )
        with opened as span, ending(context, lambda code: _mark(span, code)):
            yield


def _mark(span: Span, code: grpc.StatusCode) -> None:
    span.set_attribute("rpc.grpc.status_code", int(code.value[0]))
    if code in FAULTS:
        span.set_status(Status(StatusCode.ERROR, code.name))
