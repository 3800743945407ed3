"""Sends spans to an OpenTelemetry collector; the SDK is not even loaded without one."""

from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from telefuser_grpc import __version__

EXPORT_SECONDS = 5.0  # a dead collector may hold up a shutdown by so much

_NO_PARENT = Context()
_propagator = TraceContextTextMapPropagator()


def configure_tracing(
    *, endpoint: str | None, service_name: str, instance: str
) -> Callable[[], None]:
    """Sets this process up for tracing; returns what sends the last spans and ends it.

    Each process calls it for itself, once. Without an endpoint nothing is traced.

    Args:
        endpoint: Of an OTLP/gRPC receiver: `host:port`, or a URL; only `https` is encrypted.
        service_name: Tells our spans from those of other services.
        instance: Tells the processes of the service apart.
    """
    if endpoint is None:
        return _nothing

    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create(
        {
            "service.name": service_name,
            "service.instance.id": instance,
            "service.version": __version__,
        }
    )
    exporter = OTLPSpanExporter(
        endpoint=endpoint,
        insecure=not endpoint.startswith("https://"),
        timeout=EXPORT_SECONDS,
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def context_from(trace_parent: str) -> Context:
    """Returns the context that a W3C `traceparent` names; "" names none."""
    if not trace_parent:
        return _NO_PARENT
    return _propagator.extract({"traceparent": trace_parent}, _NO_PARENT)


def _nothing() -> None:
    """Ends no tracing."""
