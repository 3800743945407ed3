"""Checks one file for a service that is about to start, and prints the report as JSON."""

import sys
from pathlib import Path

from telefuser_grpc.validator.check import validate_file
from telefuser_grpc.validator.level import Level
from telefuser_grpc.validator.report import json_report


def main() -> None:
    """Runs with the arguments FILE LEVEL MAX_BYTES."""
    path, level, max_bytes = sys.argv[1:]
    report = validate_file(Path(path), level=Level(level), max_bytes=int(max_bytes))
    sys.stdout.write(json_report(report))


if __name__ == "__main__":
    main()
