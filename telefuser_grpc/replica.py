"""The composition root of a replica's processes: they log and trace like its server."""

import json
import sys

from telefuser_grpc.telemetry.replica import ReplicaTelemetry
from telefuser_grpc.workers.follower import follow
from telefuser_grpc.workers.main import serve
from telefuser_grpc.workers.ranks import FOLLOW


def main() -> None:
    """Takes the telemetry's settings as JSON, unless there are none, and last a socket's number.

    `follow` before that makes it another rank of the replica that has started it.
    """
    *words, descriptor = sys.argv[1:]
    settings = [word for word in words if word != FOLLOW]
    telemetry = ReplicaTelemetry(**json.loads(settings[0])) if settings else ReplicaTelemetry()
    begin = follow if FOLLOW in words else serve
    begin(int(descriptor), on_end=telemetry.start())


if __name__ == "__main__":
    main()
