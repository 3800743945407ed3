"""What is counted and measured of calls: REST requests, and the RPCs that serve them or others."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from telefuser_grpc.telemetry.buckets import HTTP_SECONDS, RPC_SECONDS


class HttpMetrics:
    """REST requests as the server sees them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "telefuser_http_requests", "Total number of HTTP requests", registry=registry
        )
        self._duration = Histogram(
            "telefuser_http_request_duration_seconds",
            "Duration of HTTP requests in seconds",
            buckets=HTTP_SECONDS,
            registry=registry,
        )
        self._inflight = Gauge(
            "telefuser_http_requests_inflight",
            "Number of HTTP requests being served",
            registry=registry,
        )

    def begin(self) -> None:
        """Shows a request as being served."""
        self._inflight.inc()

    def end(self, seconds: float) -> None:
        """Counts and measures a request that has begun before."""
        self._inflight.dec()
        self._requests.inc()
        self._duration.observe(seconds)


class RpcMetrics:
    """RPCs by method and status; the histogram counts them too."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Histogram(
            "telefuser_grpc_request_duration_seconds",
            "Duration of RPCs in seconds, those behind HTTP requests among them",
            ["method", "code"],
            buckets=RPC_SECONDS,
            registry=registry,
        )
        self._series: dict[tuple[str, str], Histogram] = {}  # spares the library's slow look-up

    def observe(self, method: str, code: str, seconds: float) -> None:
        """Counts and measures an RPC that has ended."""
        key = (method, code)
        if not (series := self._series.get(key)):
            series = self._series[key] = self._duration.labels(*key)
        series.observe(seconds)
