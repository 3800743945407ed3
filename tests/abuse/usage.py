"""What a service holds: memory, descriptors and files."""

from dataclasses import dataclass
from pathlib import Path

from tests.fakes.service import Service

KIBIBYTE = 1024
SERVER, ENVOY = "server", "envoy"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds; memory in mebibytes."""

    resident: float
    peak: float
    descriptors: int


def usage(service: Service) -> dict[str, Usage]:
    """Returns what the server and its gateway hold."""
    return {name: _usage(pid) for name, pid in processes(service).items()}


def processes(service: Service) -> dict[str, int]:
    """Returns the process ids of the server and its gateway."""
    return {SERVER: service.process.pid, ENVOY: service.children()[ENVOY]}


def forget_peaks(service: Service) -> None:
    """Lets the peaks begin at what is held now."""
    for pid in processes(service).values():
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def files(service: Service) -> set[Path]:
    """Returns all files and folders that the service keeps, without the database's own."""
    return {path for path in service.cache.rglob("*") if not path.name.startswith("tasks.db")}


def holders(service: Service, file: Path) -> int:
    """Returns how often the server and its gateway have a file open."""
    return sum(_target(each) == file for pid in processes(service).values() for each in _open(pid))


def _usage(pid: int) -> Usage:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return Usage(
        resident=_mebibytes(status["VmRSS"]),
        peak=_mebibytes(status["VmHWM"]),
        descriptors=len(_open(pid)),
    )


def _mebibytes(text: str) -> float:
    return int(text.split()[0]) / KIBIBYTE


def _open(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/fd").iterdir())


def _target(descriptor: Path) -> Path | None:
    try:
        return descriptor.readlink()
    except FileNotFoundError:  # it has just been closed
        return None
