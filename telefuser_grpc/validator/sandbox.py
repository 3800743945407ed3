"""Loads a file in a process that may do little, and tells how that went.

The process is `jail.py`, run by itself: this side starts it, hands it the code, bounds its time,
and removes its folder.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from telefuser_grpc.validator import jail
from telefuser_grpc.validator.source import Source

GRACE_SECONDS = 10
KEPT_VARIABLES = ("LD_LIBRARY_PATH",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What loading a file may use.

    Attributes:
        memory_bytes: Address space, of which a GPU build of torch alone maps several gigabytes.
        processes: Processes and threads of the user; does not bind root.
    """

    seconds: float = 60.0
    cpu_seconds: int = 60
    memory_bytes: int = 8 << 30
    file_bytes: int = 1 << 20
    processes: int = 256


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a load went.

    Attributes:
        error: Why the file did not load; None if it did.
        isolation: What was in force, in words.
    """

    error: str | None
    isolation: tuple[str, ...]


def load_check(source: Source, *, limits: Limits) -> Outcome:
    """Runs the top level of a file in a process without network, and waits for its end."""
    folder = tempfile.mkdtemp(prefix="telefuser-check-")
    try:
        return _run(source, folder, limits)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(source: Source, folder: str, limits: Limits) -> Outcome:
    order = {
        "source": source.text,
        "path": str(source.path.absolute()),
        "folder": folder,
        "token": secrets.token_hex(16),
        "python_path": [str(Path(entry).absolute()) for entry in sys.path if entry],
        "limits": asdict(limits),
    }
    process = subprocess.Popen(
        [sys.executable, "-I", "-B", jail.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(folder),
        cwd=folder,
        start_new_session=True,
    )
    with process:
        try:
            answer, _ = process.communicate(
                json.dumps(order).encode(), timeout=limits.seconds + GRACE_SECONDS
            )
        except subprocess.TimeoutExpired:
            return Outcome(jail.too_slow(limits.seconds), ())
        finally:
            _end(process.pid)
    return _outcome(answer)


def _environment(folder: str) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return kept | {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": folder,
        "TMPDIR": folder,
        "USER": "nobody",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _end(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _outcome(answer: bytes) -> Outcome:
    try:
        fields = json.loads(answer)
    except ValueError:
        return Outcome("the process that loads it ended without an answer", ())
    return Outcome(fields["error"], tuple(fields["isolation"]))
