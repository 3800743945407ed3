"""The operating system's side of a replica: start, end and devices of its process."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Generic, TypeVar

from telefuser_grpc.workers.channel import ServerChannel
from telefuser_grpc.workers.devices import visibility

COMMAND = (sys.executable, "-P", "-m", "telefuser_grpc.replica")
STDERR = 2
REAP_SECONDS = 10.0
LAST_FRAMES_SECONDS = 1.0
COMPILED = "TORCHINDUCTOR_CACHE_DIR"

S = TypeVar("S")
R = TypeVar("R")


class ReplicaProcess(Generic[S, R]):
    """A process that leads its own group and has the other end of `channel`."""

    def __init__(self, child: asyncio.subprocess.Process, channel: ServerChannel[S, R]) -> None:
        self.channel = channel
        self._child = child

    @classmethod
    async def spawn(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        connect: Callable[[socket.socket], Awaitable[ServerChannel[S, R]]] = ServerChannel.open,
    ) -> "ReplicaProcess[S, R]":
        """Starts a command, which is told the number of its socket last. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            channel = await connect(ours)
            try:
                child = await asyncio.create_subprocess_exec(
                    *command,
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=STDERR,
                    env=environment,
                    start_new_session=True,
                )
            except BaseException:
                channel.close()
                raise
        return cls(child, channel)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def resident_bytes(self) -> int:
        """The memory that it holds, 0 where that cannot be told."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def exit_text(self) -> str:
        """How the process ended, to follow the name of the replica."""
        code = self._child.returncode
        if code is None:
            return "closed its channel and cannot be killed"
        if code == -signal.SIGKILL:
            return "was killed by SIGKILL, as a system does whose memory runs out"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"exited with status {code}"

    async def until_gone(self, reading: "asyncio.Task[None]") -> None:
        """Waits for the process's end or that of `reading`, then makes sure of both."""
        exit_ = asyncio.create_task(self._child.wait())
        try:
            await asyncio.wait((reading, exit_), return_when=asyncio.FIRST_COMPLETED)
            self._kill_group()
            patience = LAST_FRAMES_SECONDS if exit_.done() else REAP_SECONDS
            await asyncio.wait((reading, exit_), timeout=patience)
        finally:
            reading.cancel()
            exit_.cancel()
            self.kill()

    def kill(self) -> None:
        """Kills the process with all that it has started, and closes the channel."""
        if self._child.returncode is None:
            self._kill_group()
        self.channel.close()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)


@asynccontextmanager
async def temporary_folder(parent: Path | None) -> AsyncIterator[str]:
    """Makes a folder for what a pipeline leaves in temporary files, which goes with its replica."""
    folder = await asyncio.to_thread(_make_temporary_folder, parent)
    try:
        yield folder.name
    finally:
        await asyncio.to_thread(folder.cleanup)


def empty_folder(folder: Path) -> None:
    """Makes a folder anew, without what an earlier server has left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


SECRETS = frozenset({"TELEFUSER_API_KEYS", "TELEFUSER_API_KEYS_FILE", "TELEFUSER_TURN_CREDENTIAL"})
"""What the code of a pipeline has no business to read."""


def replica_environment(
    inherited: Mapping[str, str], devices: Sequence[str], *, temporary: str = ""
) -> dict[str, str]:
    """Returns a replica's environment: the server's, its own devices, and the same imports.

    `temporary` is where the replica's temporary files go; what torch compiles outlives it.
    """
    environment = {name: value for name, value in inherited.items() if name not in SECRETS}
    environment["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    if temporary:
        environment.setdefault(COMPILED, f"{tempfile.gettempdir()}/torchinductor_{os.getuid()}")
        environment["TMPDIR"] = temporary
    if devices:
        environment.update(visibility(devices, inherited))
    else:
        environment.setdefault("OMP_NUM_THREADS", "1")
    return environment


def _make_temporary_folder(parent: Path | None) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(
        prefix="telefuser-replica-", dir=parent, ignore_cleanup_errors=True
    )
