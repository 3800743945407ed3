"""Counts RPCs, and the REST requests behind those that come through the gateway."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext

import grpc
from grpc import aio

from telefuser_grpc.telemetry.metrics import Metrics
from telefuser_grpc.telemetry.rpc import Context, Handler, ending, header, wrapped

PATH_HEADER = "x-envoy-original-path"  # set by the gateway's transcoder, stripped from callers
UNCOUNTED_PATHS = frozenset(
    {
        "/health",
        "/metrics",
        "/v1/service/health",
        "/v1/service/ready",
        "/v1/service/metrics",
        "/v1/service/metrics/json",
    }
)


class MetricsInterceptor(aio.ServerInterceptor):
    """Counts every RPC but those of gRPC itself; probes and scrapes are no REST requests."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None or method.startswith("/grpc."):
                return handler
            self._wrapped[method] = wrapped(handler, lambda call: self._measure(method, call))
        return self._wrapped[method]

    @contextmanager
    def _measure(self, method: str, context: Context) -> Iterator[None]:
        is_rest = _is_counted(header(context.invocation_metadata(), PATH_HEADER))
        request = self._metrics.http_request() if is_rest else nullcontext()
        with request, ending(context, lambda code: self._metrics.count_rpc(method, code.name)):
            yield


def _is_counted(path: str) -> bool:
    return bool(path) and path.partition("?")[0] not in UNCOUNTED_PATHS
