"""Runs what a container would."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.ports import free_port
from tests.fakes.service import PATIENCE_SECONDS, Log, clean_environment


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns one in which the commands of the package are found, as in the image."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return clean_environment() | {"PATH": path} | dict(variables)


@contextmanager
def started(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> Iterator[Log]:
    """Runs a command until the block is left; then it is stopped as Docker does, and must end."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    log = Log(process.stderr)
    try:
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
        log.close()


def free_ports(count: int) -> list[int]:
    """Returns ports that are free now, all different."""
    return [free_port() for _ in range(count)]
