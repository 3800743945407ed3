"""Logs and traces of a replica's process, as its server is told to write them."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from telefuser_grpc.telemetry.log_target import Kind, LogTarget
from telefuser_grpc.telemetry.logging import Format, configure_logging
from telefuser_grpc.telemetry.tracing import configure_tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaTelemetry:
    """What a replica needs to log and trace like its server.

    Attributes:
        log_file: Where the sink is a file; the server puts it aside, a replica only opens it anew.
        trace_endpoint: Of the OpenTelemetry collector; None traces nothing.
    """

    log_format: Format = "console"
    log_level: str = "INFO"
    log_sink: Kind = "console"
    log_file: str = ""
    log_syslog_host: str = "localhost"
    log_syslog_port: int = 514
    log_syslog_facility: str = "user"
    trace_endpoint: str | None = None
    service_name: str = "telefuser"

    @property
    def argument(self) -> str:
        """The settings as an argument of the replica's command."""
        return json.dumps(asdict(self))

    def start(self) -> Callable[[], None]:
        """Sets up this process; returns what sends the last spans."""
        pid = os.getpid()
        configure_logging(
            format=self.log_format,
            level=self.log_level,
            fields={"replica_pid": pid},
            target=self._log_target(),
        )
        return configure_tracing(
            endpoint=self.trace_endpoint,
            service_name=f"{self.service_name}-replica",
            instance=str(pid),
        )

    def _log_target(self) -> LogTarget:
        return LogTarget(
            kind=self.log_sink,
            file=Path(self.log_file) if self.log_file else None,
            rotation_bytes=0,
            syslog_host=self.log_syslog_host,
            syslog_port=self.log_syslog_port,
            syslog_facility=self.log_syslog_facility,
        )
