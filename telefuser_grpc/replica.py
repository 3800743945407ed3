"""The composition root of a replica's process: logs and traces like its server, then serves it."""

import json
import sys

from telefuser_grpc.telemetry.replica import ReplicaTelemetry
from telefuser_grpc.workers.main import serve


def main() -> None:
    """Takes the telemetry's settings as JSON, unless there are none, and last a socket's number."""
    *settings, descriptor = sys.argv[1:]
    telemetry = ReplicaTelemetry(**json.loads(settings[0])) if settings else ReplicaTelemetry()
    serve(int(descriptor), on_end=telemetry.start())


if __name__ == "__main__":
    main()
