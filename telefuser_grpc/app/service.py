"""The composition root: builds the parts, wires them, runs them and closes them."""

import asyncio
import gc
import os
import signal
import sys
from contextlib import AsyncExitStack

import grpc
import structlog
import uvloop

from telefuser_grpc.app import parts
from telefuser_grpc.app.core import Core, build_core, use_cases
from telefuser_grpc.app.keys import LiveKeys, key_check, key_source, warn_of_openness
from telefuser_grpc.app.runtime import runtime_folder
from telefuser_grpc.config import ConfigError, Settings
from telefuser_grpc.errors import NoCapacity, TeleFuserError
from telefuser_grpc.gateway.options import GatewayError
from telefuser_grpc.gateway.process import Gateway
from telefuser_grpc.server.links import Links
from telefuser_grpc.server.server import Server
from telefuser_grpc.storage.schema import UnusableDatabase
from telefuser_grpc.telemetry.grpc_metrics import MetricsInterceptor
from telefuser_grpc.telemetry.grpc_tracing import TracingInterceptor
from telefuser_grpc.telemetry.metrics import Metrics
from telefuser_grpc.telemetry.startup import startup_summaries
from telefuser_grpc.telemetry.tracing import configure_tracing
from telefuser_grpc.workers.devices import AllotmentError

logger = structlog.get_logger()

STREAM_GRACE_SECONDS = 1.0


class PipelineUnusable(Exception):
    """No replica can load the pipeline; the message says why."""


START_FAULTS = (
    AllotmentError,
    ConfigError,
    GatewayError,
    PipelineUnusable,
    TeleFuserError,
    UnusableDatabase,
)


def serve(settings: Settings) -> int:
    """Runs the service until a signal stops it; returns the exit code."""
    try:
        parts.configure_log(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(App(settings).run())
    except START_FAULTS as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 1
    return 0


class App:
    """The service as one object."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.cache_dir.absolute()
        self._pipeline = parts.pipeline_file(settings)
        self._keys = LiveKeys(key_source(settings))
        self._facts = parts.facts(settings, self._pipeline)
        self._is_stopped = asyncio.Event()
        self._fault: PipelineUnusable | None = None

    async def run(self) -> None:
        """Serves until stopped.

        Raises:
            START_FAULTS: The service cannot start; the text says why.
        """
        self._stop_on_signals()
        async with AsyncExitStack() as stack:
            await self._start(stack)
            gc.collect()
            gc.freeze()  # what start-up has made stays; full collections need not look at it
            await self._is_stopped.wait()
            logger.info("server stops")
        if self._fault:
            raise self._fault

    async def _start(self, stack: AsyncExitStack) -> None:
        """Builds the parts bottom-up; the stack closes them top-down."""
        settings = self._settings
        stack.callback(
            configure_tracing(
                endpoint=settings.otlp_endpoint,
                service_name=settings.service_name,
                instance=str(os.getpid()),
            )
        )
        self._root.mkdir(parents=True, exist_ok=True)
        core = await build_core(stack, settings, root=self._root, pipeline=self._pipeline)
        await self._listen(stack, core)
        await stack.enter_async_context(core.janitor)
        await asyncio.to_thread(core.memory.begin)
        await stack.enter_async_context(core.pool)  # last: loading takes the processors from all
        stack.push_async_callback(core.scheduler.drain)  # while callers can still watch and read
        opening = asyncio.create_task(self._open(core))
        stack.callback(opening.cancel)

    async def _listen(self, stack: AsyncExitStack, core: Core) -> None:
        settings = self._settings
        runtime = stack.enter_context(runtime_folder(self._root))
        socket = runtime / "server.sock"
        address = f"unix:{socket}" if settings.gateway else f"{settings.host}:{settings.port}"
        keys = self._keys
        check = key_check(settings, keys)
        server = Server(
            address,
            use_cases(
                core, settings, facts=self._facts, root=self._root, has_keys=check is not None
            ),
            max_message_bytes=parts.max_message_bytes(settings),
            interceptors=_interceptors(settings, core.metrics),
            keys=check,
            error_format=parts.error_format(settings),
            links=Links(settings.public_base_url or ""),
            serves_openai=settings.enable_openai_api,
            kept_seconds=settings.artifact_retention_seconds,
        )
        port = await server.start()
        stack.push_async_callback(server.stop, 0)  # should the gateway not start
        if settings.gateway:
            options = parts.gateway_options(
                settings, upstream=str(socket), root=self._root, keys=keys.current
            )
            gateway = Gateway(options, runtime / "gateway")
            port = (await stack.enter_async_context(gateway)).port
            keys.hand_to(gateway)
            stack.push_async_callback(server.stop, STREAM_GRACE_SECONDS)  # ends watchers first
        stack.enter_context(keys)
        warn_of_openness(settings, keys)
        logger.info("server listens", host=settings.host, port=port, gateway=settings.gateway)

    async def _open(self, core: Core) -> None:
        """Begins to admit and to run tasks once the pipeline is loaded."""
        try:
            contract = await core.pool.contract()
        except NoCapacity:
            self._fault = PipelineUnusable(
                f"the pipeline cannot be loaded: {core.pool.start_failure}"
            )
            self._is_stopped.set()
            return
        core.admission.open(contract)
        core.scheduler.open()
        for line in startup_summaries(contract, self._facts):
            logger.info(line)
        logger.info("pipeline is loaded", name=contract.pipeline_name, tasks=list(contract.tasks))

    def _stop_on_signals(self) -> None:
        """The first signal drains; the second ends at once, which loses nothing either."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if self._is_stopped.is_set():
                os._exit(130)
            self._is_stopped.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)


def _interceptors(settings: Settings, metrics: Metrics | None) -> list[grpc.aio.ServerInterceptor]:
    """Returns what sees every call, the outermost first."""
    tracing = [TracingInterceptor()] if settings.otlp_endpoint else []
    return [*tracing, *([MetricsInterceptor(metrics)] if metrics else [])]
