"""Logs and traces of a replica's process, which is set up by a value that the server sends it."""

from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import trace

from telefuser_grpc.domain.task import Progress
from telefuser_grpc.telemetry.logging import Format, configure_logging
from telefuser_grpc.telemetry.tracing import configure_tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaTelemetry:
    """What a replica needs to log and trace like its server. It pickles.

    Attributes:
        trace_endpoint: Of the OpenTelemetry collector; None traces nothing.
    """

    log_format: Format
    log_level: str
    trace_endpoint: str | None
    service_name: str
    instance: str

    def start(self, replica: int) -> Callable[[], None]:
        """Sets up this process; returns what sends the last spans."""
        configure_logging(format=self.log_format, level=self.log_level, fields={"replica": replica})
        return configure_tracing(
            endpoint=self.trace_endpoint,
            service_name=self.service_name,
            instance=f"{self.instance}/replica-{replica}",
        )

    def step(self, progress: Progress) -> None:
        """Marks a finished step on the current span."""
        span = trace.get_current_span()
        if span.is_recording():
            span.add_event(
                "step",
                {"step": progress.step, "steps": progress.steps, "stage": progress.stage},
            )
