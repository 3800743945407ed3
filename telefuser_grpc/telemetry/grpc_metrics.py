"""Measures RPCs, and the REST requests behind those that come through the gateway."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

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
    """Measures every RPC but those of gRPC itself; probes and scrapes are no REST requests."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
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
        metrics, began = self._metrics, self._clock()
        is_rest = _is_counted(header(context.invocation_metadata(), PATH_HEADER))

        def report(code: grpc.StatusCode) -> None:
            seconds = self._clock() - began
            metrics.observe_rpc(method, code.name, seconds)
            if is_rest:
                metrics.http_ended(seconds)

        if is_rest:
            metrics.http_began()
        with ending(context, report):
            yield


def _is_counted(path: str) -> bool:
    return bool(path) and path.partition("?")[0] not in UNCOUNTED_PATHS
