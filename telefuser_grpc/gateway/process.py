"""Keeps the gateway running for as long as the server does."""

import asyncio
import errno
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from telefuser_grpc.domain.api_key import ApiKey
from telefuser_grpc.gateway.envoy import Envoy
from telefuser_grpc.gateway.keys import write_keys
from telefuser_grpc.gateway.options import GatewayError, GatewayOptions
from telefuser_grpc.gateway.render import address_of, write

logger = structlog.get_logger()

_SOCKET_PATH_LIMIT = 107
_LONGEST_BACKOFF_SECONDS = 5.0
_STEADY_SECONDS = 10.0


class Gateway:
    """Envoy in front of the server: started on entry, restarted when it dies, drained on exit."""

    def __init__(
        self,
        options: GatewayOptions,
        folder: Path,
        *,
        concurrency: int = 1,
        drain_seconds: float = 5.0,
    ) -> None:
        self.options = options
        self._folder = folder
        self._concurrency = concurrency
        self._drain_seconds = drain_seconds

    @property
    def port(self) -> int:
        """The port that it listens on, also when it was left to choose."""
        return self.options.port

    @property
    def pid(self) -> int:
        """The process that listens now; another one after a restart."""
        return self._envoy.pid

    def replace_keys(self, keys: Sequence[ApiKey]) -> None:
        """Lets in whoever has one of these keys, from a moment on. Raises GatewayError."""
        write_keys(keys, self._folder)

    async def __aenter__(self) -> Self:
        self.options = replace(self.options, port=_free_port(self.options))
        if self.options.ui_port:
            _free_port(replace(self.options, port=self.options.ui_port))
        _check_socket_path(self._admin_socket)
        write(self.options, self._folder)
        self._envoy = await self._start()
        self._keeper = asyncio.create_task(self._keep_running())
        logger.info("gateway listens", host=self.options.host, port=self.port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._keeper.cancel()
        await asyncio.wait([self._keeper])
        await self._envoy.drain(self._drain_seconds)
        await self._envoy.stop()

    @property
    def _admin_socket(self) -> Path:
        return self._folder.absolute() / self.options.admin_socket

    async def _start(self) -> Envoy:
        return await Envoy.start(self._folder, self._admin_socket, concurrency=self._concurrency)

    async def _keep_running(self) -> None:
        clock = asyncio.get_running_loop().time
        backoff_seconds = 0.0
        while True:
            started = clock()
            code = await self._envoy.ended()
            if clock() - started > _STEADY_SECONDS:
                backoff_seconds = 0.0
            logger.error("gateway died", code=code, restart_seconds=backoff_seconds)
            backoff_seconds = await self._restart(backoff_seconds)

    async def _restart(self, backoff_seconds: float) -> float:
        """Tries until Envoy runs again, and returns how long to wait should it die at once."""
        while True:
            await asyncio.sleep(backoff_seconds)
            backoff_seconds = min(max(0.1, 2 * backoff_seconds), _LONGEST_BACKOFF_SECONDS)
            try:
                self._envoy = await self._start()
            except (GatewayError, OSError) as error:
                logger.error("gateway not restarted", error=str(error))
            else:
                logger.info("gateway restarted", port=self.port)
                return backoff_seconds


def _free_port(options: GatewayOptions) -> int:
    """Returns the port to listen on; raises GatewayError if it cannot be had."""
    address = address_of(options.host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, options.port))
        except OSError as error:
            raise GatewayError(_why_not(options, error)) from error
        return int(probe.getsockname()[1])


def _why_not(options: GatewayOptions, error: OSError) -> str:
    where = f"{options.host}:{options.port}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{where} is in use; stop what listens there, or choose another port"
        case errno.EADDRNOTAVAIL:
            return f"{where}: this machine has no such address; listen on 127.0.0.1 or 0.0.0.0"
        case errno.EACCES:
            return f"{where}: listening there takes privileges; choose a port above 1023"
    return f"{where} cannot be listened on: {error.strerror}"


def _check_socket_path(path: Path) -> None:
    if len(str(path).encode()) > _SOCKET_PATH_LIMIT:
        raise GatewayError(
            f"the path of the gateway's admin socket is longer than {_SOCKET_PATH_LIMIT} bytes;"
            " choose a shorter runtime folder"
        )
