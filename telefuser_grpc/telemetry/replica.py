"""Logs and traces of a replica's process, as its server is told to write them."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass

from telefuser_grpc.telemetry.logging import Format, configure_logging
from telefuser_grpc.telemetry.tracing import configure_tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaTelemetry:
    """What a replica needs to log and trace like its server.

    Attributes:
        trace_endpoint: Of the OpenTelemetry collector; None traces nothing.
    """

    log_format: Format = "console"
    log_level: str = "INFO"
    trace_endpoint: str | None = None
    service_name: str = "telefuser"

    @property
    def argument(self) -> str:
        """The settings as an argument of the replica's command."""
        return json.dumps(asdict(self))

    def start(self) -> Callable[[], None]:
        """Sets up this process; returns what sends the last spans."""
        pid = os.getpid()
        configure_logging(format=self.log_format, level=self.log_level, fields={"replica_pid": pid})
        return configure_tracing(
            endpoint=self.trace_endpoint,
            service_name=f"{self.service_name}-replica",
            instance=str(pid),
        )
