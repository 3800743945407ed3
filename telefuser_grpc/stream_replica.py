"""The composition root of the stream process: it logs and traces like its server."""

import json
import sys

from telefuser_grpc.telemetry.replica import ReplicaTelemetry
from telefuser_grpc.workers.streams.main import serve_streams


def main() -> None:
    """Takes the telemetry's settings as JSON, unless there are none, and last a socket's number."""
    *settings, descriptor = sys.argv[1:]
    telemetry = ReplicaTelemetry(**json.loads(settings[0])) if settings else ReplicaTelemetry()
    serve_streams(int(descriptor), on_end=telemetry.start())


if __name__ == "__main__":
    main()
