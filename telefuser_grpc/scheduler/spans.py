"""Spans of a task's life; they cost next to nothing while no tracer is configured."""

from contextlib import AbstractContextManager, nullcontext

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from telefuser_grpc.domain.task import Progress

_tracer = trace.get_tracer("telefuser")
_propagator = TraceContextTextMapPropagator()
_NOTHING = nullcontext()


def span(
    name: str, trace_parent: str = "", **attributes: str | int
) -> AbstractContextManager[object]:
    """Opens a span below the current one, or below a W3C `traceparent` where one is given."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _NOTHING  # no provider is configured
    context = _propagator.extract({"traceparent": trace_parent}) if trace_parent else None
    return _tracer.start_as_current_span(name, context, attributes=attributes)


def current_trace_parent() -> str:
    """Returns the current span as a W3C `traceparent`, or "" where there is none."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


def mark_step(progress: Progress, span: object = None) -> None:
    """Marks a finished step on a span, else on the current one."""
    current = span if isinstance(span, trace.Span) else trace.get_current_span()
    if current.is_recording():
        current.add_event(
            "step",
            {"step": progress.step, "steps": progress.steps, "stage": progress.stage},
        )
