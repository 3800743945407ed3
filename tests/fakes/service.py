"""The real service as a process of its own, for tests that use it, kill it and start it again."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx

from telefuser_grpc.client import Client
from tests.fakes.ports import free_port

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0


class Service:
    """`telefuser serve` on a folder of its own; a killed one can be started again, as it was.

    Args:
        folder: Where it runs; it keeps its tasks in `cache` there.
        settings: What the service is told, by the names of `Settings`.
    """

    verb = "serve"

    def __init__(self, pipeline: Path | None, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.cache = Path(str(settings.pop("cache_dir", folder / "cache")))
        self.port = free_port()
        self._pipeline = [str(pipeline)] if pipeline else []
        settings = {"rate_limit_enabled": False, "access_log": False} | settings
        self._settings = {f"TELEFUSER_{name.upper()}": str(each) for name, each in settings.items()}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            self.exit_code()
        self.log.close()

    def start(self) -> None:
        """Starts the service and waits until it runs tasks; a later start takes the same port."""
        self.launch()
        self.log.wait_for("pipeline is loaded")

    def launch(self) -> None:
        """Starts the process and waits for nothing."""
        command = [sys.executable, "-m", "telefuser_grpc.cli.main", self.verb, *self._pipeline]
        self.process = subprocess.Popen(
            [
                *(*command, "--port", str(self.port), "--cache-dir", str(self.cache)),
                "--skip-validation",  # the pipelines of tests do what no other should
            ],
            cwd=self.folder,
            env=clean_environment() | {"TELEFUSER_LOG_FORMAT": "json"} | self._settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a signal to its group is a Ctrl-C in its terminal
        )
        assert self.process.stderr is not None
        self.log = Log(self.process.stderr)

    def kill(self) -> None:
        """Kills the process, and waits until all that it had started is gone too."""
        with Deaths(self.children().values()) as deaths:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)
            deaths.wait()
        self.log.close()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process and what shares its terminal."""
        os.killpg(self.process.pid, number)

    def exit_code(self) -> int:
        """Waits for the end of the process."""
        return self.process.wait(PATIENCE_SECONDS)

    def children(self) -> dict[str, int]:
        """Returns the processes that it has started: `envoy`, and replicas by their number."""
        replicas = {
            f"replica {line['replica']}": line["pid"] for line in self.log.events("replica started")
        }
        mine = _children_of(self.process.pid)
        envoys = {name: pid for pid, name in mine.items() if name == "envoy"}
        return envoys | {name: pid for name, pid in replicas.items() if pid in mine}

    @property
    def target(self) -> str:
        """Where gRPC clients find it."""
        return f"127.0.0.1:{self.port}"

    def client(self) -> Client:
        """Returns a native client."""
        return Client(self.target, timeout_seconds=PATIENCE_SECONDS)

    def http(self) -> httpx.Client:
        """Returns a REST client."""
        return httpx.Client(
            base_url=f"http://{self.target}", timeout=PATIENCE_SECONDS, trust_env=False
        )


class StreamService(Service):
    """`telefuser stream-serve`, likewise."""

    verb = "stream-serve"


class Log:
    """What a service has written to its stderr: JSON lines and others."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._has_ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """All lines so far."""
        return "\n".join(self._lines)

    def events(self, event: str) -> list[dict[str, Any]]:
        """Returns the lines that tell of an event."""
        lines = [json.loads(line) for line in list(self._lines) if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def wait_for(self, event: str, *, count: int = 1) -> dict[str, Any]:
        """Waits until an event has been told of so often, and returns the line."""

        def is_told() -> bool:
            return len(self.events(event)) >= count or self._has_ended

        with self._changed:
            self._changed.wait_for(is_told, PATIENCE_SECONDS)
        told = self.events(event)
        assert len(told) >= count, f"{event!r} was not logged:\n{self.text}"
        return told[count - 1]

    def close(self) -> None:
        """Waits until all writers are gone."""
        self._reader.join(PATIENCE_SECONDS)
        assert not self._reader.is_alive(), "something still writes to the log"
        self._stream.close()

    def _read(self) -> None:
        for line in self._stream:
            with self._changed:
                self._lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()


class Deaths:
    """Waits for the ends of processes that may be nobody's children."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._processes: dict[int, int] = {}
        for pid in pids:
            with suppress(ProcessLookupError):  # it has just died
                self._processes[os.pidfd_open(pid)] = pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._processes:
            os.close(descriptor)

    def wait(self) -> None:
        """Waits until all are dead."""
        for descriptor, pid in self._processes.items():
            death = select.poll()
            death.register(descriptor, select.POLLIN)
            assert death.poll(PATIENCE_SECONDS * 1000), f"process {pid} has survived"


def clean_environment() -> dict[str, str]:
    """Returns this process's environment without what would be a setting of the service."""
    return {name: each for name, each in os.environ.items() if not _is_setting(name)}


def _is_setting(name: str) -> bool:
    return name.upper().startswith(("TELEFUSER_", "OTEL_"))


def _children_of(parent: int) -> Mapping[int, str]:
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = path.read_text().partition(" (")
        except (FileNotFoundError, ProcessLookupError):
            continue
        name, _, fields = rest.rpartition(") ")
        if int(fields.split()[1]) == parent:
            children[int(pid)] = name
    return children
