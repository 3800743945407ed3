"""Starts the service under test as its users do, and stops all of it whatever happens."""

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from benchmarks import native, rest
from telefuser_grpc._gen.telefuser.v1 import system_service_pb2

START_SECONDS = 60.0
STOP_SECONDS = 20.0
RETRY_SECONDS = 0.002  # a start is announced to nobody, so it is asked for
COMMAND = (sys.executable, "-m", "telefuser_grpc.cli.main")


class NotStarted(Exception):
    """The service has ended, or is not ready in time; the message is the end of its log."""


class Service:
    """A running service.

    Attributes:
        port: The gateway's, or the server's own without a gateway.
        started_at: `time.time()` just before the process was started.
        healthy_seconds: From the start to the first answer on the port.
        ready_seconds: From the start to the loaded pipeline.
    """

    def __init__(self, process: Process, port: int, log: Path) -> None:
        self.port = port
        self.started_at = time.time()
        self.healthy_seconds = 0.0
        self.ready_seconds = 0.0
        self._started = time.perf_counter()
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    async def until_ready(self, *, gateway: bool) -> None:
        """Waits until the pipeline is loaded. Raises NotStarted."""
        try:
            async with asyncio.timeout(START_SECONDS):
                while not (await self._is_healthy() if gateway else await self._listens()):
                    await self._pause()
                self.healthy_seconds = time.perf_counter() - self._started
                async with native.connected(self.port) as client:
                    while not await _is_ready(client):
                        await self._pause()
                self.ready_seconds = time.perf_counter() - self._started
        except TimeoutError:
            raise NotStarted(self._last_words()) from None

    async def stop(self) -> None:
        """Ends the process, and kills all that is left of it."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()

    async def _is_healthy(self) -> bool:
        try:
            async with rest.connected(self.port) as connection:
                await connection.get("/v1/service/health")
        except (OSError, EOFError, rest.RestError):
            return False
        return True

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def _pause(self) -> None:
        if self._process.returncode is not None:
            raise NotStarted(self._last_words())
        await asyncio.sleep(RETRY_SECONDS)

    def _last_words(self) -> str:
        return self._log.read_text()[-2000:]


@asynccontextmanager
async def serving(
    pipeline: Path, folder: Path, *, verb: str = "serve", gateway: bool = True, **settings: object
) -> AsyncIterator[Service]:
    """Runs a service with its data in a folder, ready when the block begins.

    `verb` is the command that serves the file.
    """
    runtime = folder / "runtime"
    runtime.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    port = _free_port()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(
                *COMMAND,
                verb,
                str(pipeline),
                "--port",
                str(port),
                "--cache-dir",
                str(folder / "cache"),
            ),
            cwd=folder,  # where no `.env` is
            env=_environment(runtime, {"gateway": gateway, "drain_seconds": 0, **settings}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the benchmark, which stops it
        )
    service = Service(process, port, log)
    try:
        await service.until_ready(gateway=gateway)
        yield service
    finally:
        await asyncio.shield(service.stop())


def _environment(runtime: Path, settings: Mapping[str, object]) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("TELEFUSER_")
    }
    settings = {"rate_limit_enabled": False, "access_log": False, **settings}
    own = {f"TELEFUSER_{name.upper()}": str(value) for name, value in settings.items()}
    return {**inherited, "TMPDIR": str(runtime), **own}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _is_ready(client: native.Native) -> bool:
    request = system_service_pb2.GetReadinessRequest()
    response = await client.system.GetReadiness(request, wait_for_ready=True)
    return response.ready
