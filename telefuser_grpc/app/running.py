"""A service from its start to its end, whatever it serves."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog
import uvloop

from telefuser_grpc.app import parts
from telefuser_grpc.config import ConfigError, Settings
from telefuser_grpc.errors import TeleFuserError
from telefuser_grpc.gateway.options import GatewayError
from telefuser_grpc.storage.schema import UnusableDatabase
from telefuser_grpc.telemetry.tracing import configure_tracing
from telefuser_grpc.workers.devices import AllotmentError

logger = structlog.get_logger()


class PipelineUnusable(Exception):
    """The pipeline cannot be loaded; the message says why."""


START_FAULTS = (
    AllotmentError,
    ConfigError,
    GatewayError,
    PipelineUnusable,
    TeleFuserError,
    UnusableDatabase,
)


class Running:
    """Runs until a signal, or whoever is part of it, stops it."""

    def __init__(self) -> None:
        self._is_stopped = asyncio.Event()
        self._fault: PipelineUnusable | None = None

    def stop(self, fault: PipelineUnusable | None = None) -> None:
        """Begins to end, because of a fault if there is one."""
        self._fault = fault
        self._is_stopped.set()

    async def run(
        self, settings: Settings, start: Callable[[AsyncExitStack], Awaitable[None]]
    ) -> None:
        """Serves until stopped: `start` puts what has to be closed on the stack.

        Raises:
            START_FAULTS: The service cannot start; the text says why.
        """
        self._stop_on_signals()
        async with AsyncExitStack() as stack:
            stack.callback(
                configure_tracing(
                    endpoint=settings.otlp_endpoint,
                    service_name=settings.service_name,
                    instance=str(os.getpid()),
                )
            )
            await start(stack)
            gc.collect()
            gc.freeze()  # what start-up has made stays; full collections need not look at it
            await self._is_stopped.wait()
            logger.info("server stops")
        if self._fault:
            raise self._fault

    def _stop_on_signals(self) -> None:
        """The first signal drains; the second ends at once, which loses nothing either."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if self._is_stopped.is_set():
                os._exit(130)
            self._is_stopped.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)


def run_app(settings: Settings, make: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Runs what `make` returns in a loop of its own; returns the exit code."""
    try:
        parts.configure_log(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(make())
    except START_FAULTS as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 1
    return 0
