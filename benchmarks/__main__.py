"""`python -m benchmarks`: measures everything, or what is named, and prints one table."""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from benchmarks import (
    batching,
    faults,
    footprint,
    history,
    large_files,
    latency,
    machine,
    replica,
    sessions,
    throughput,
    transfer,
    watchers,
)
from benchmarks.lab import Lab, Rows
from benchmarks.row import Row, heading
from telefuser_grpc.telemetry.logging import configure_logging

BENCHMARKS: dict[str, Callable[[Lab], Rows]] = {
    "create": latency.create,
    "complete": latency.complete,
    "gateway": latency.gateway,
    "tasks": throughput.tasks,
    "creates": throughput.creates,
    "history": history.history,
    "dispatch": replica.dispatch,
    "overlap": replica.overlap,
    "batching": batching.batching,
    "watchers": watchers.watchers,
    "cancel": faults.cancel,
    "death": faults.death,
    "boot": faults.boot,
    "sessions": sessions.sessions,
    "transfer": transfer.transfer,
    "large": large_files.large_files,
    "memory": footprint.memory,
}


def main() -> int:
    """Runs the command line and returns the exit code."""
    options = _options()
    configure_logging(format="console", level="WARNING")
    facts = machine.facts()
    for name, fact in facts.items():
        print(f"{name + ':':<16}{fact}")
    print(f"\n{heading()}")
    started = time.monotonic()
    rows = asyncio.run(_measure(options.only or list(BENCHMARKS), is_quick=options.quick))
    load = os.getloadavg()[0]
    print(f"\n{time.monotonic() - started:.0f} seconds, load average at the end {load:.1f}")
    if options.json:
        record = {"facts": facts, "rows": [row.record() for row in rows]}
        options.json.write_text(json.dumps(record, indent=2))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=BENCHMARKS, help="a few")
    parser.add_argument("--quick", action="store_true", help="take a tenth of the samples")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args()


async def _measure(names: list[str], *, is_quick: bool) -> list[Row]:
    task = asyncio.current_task()
    assert task is not None, "runs in a task"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    measured = []
    with tempfile.TemporaryDirectory(prefix="tfb-") as root:
        lab = Lab(Path(root), is_quick)
        for name in names:
            _say(f"{name} ...")
            async with aclosing(BENCHMARKS[name](lab)) as rows:
                async for row in rows:
                    print(row.text(), flush=True)
                    measured.append(row)
    return measured


def _say(text: str) -> None:
    """Shows on a terminal what is being measured, until the first row writes over it."""
    if sys.stderr.isatty():
        print(text, end="\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
