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

from telefuser_grpc import __version__
from telefuser_grpc.app import parts
from telefuser_grpc.app.keys import LiveKeys, key_check, key_source, warn_of_openness
from telefuser_grpc.app.runtime import runtime_folder
from telefuser_grpc.config import ConfigError, Settings
from telefuser_grpc.errors import NoCapacity, TeleFuserError
from telefuser_grpc.gateway.options import GatewayError
from telefuser_grpc.gateway.process import Gateway
from telefuser_grpc.scheduler.admission import Admission
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.expiry import Expiry
from telefuser_grpc.scheduler.janitor import Janitor
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.scheduler.room import GuardedInputs, GuardedUploads
from telefuser_grpc.scheduler.scheduler import Scheduler
from telefuser_grpc.scheduler.service import Service
from telefuser_grpc.server.image_to_video.memory import DeviceMemory
from telefuser_grpc.server.links import Links
from telefuser_grpc.server.server import Server, UseCases
from telefuser_grpc.server.wan.files import is_ours
from telefuser_grpc.server.wan.servicer import WanParts
from telefuser_grpc.storage.artifacts import LocalArtifactStore
from telefuser_grpc.storage.folders import LocalTaskFolders
from telefuser_grpc.storage.schema import UnusableDatabase
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from telefuser_grpc.telemetry.grpc_metrics import MetricsInterceptor
from telefuser_grpc.telemetry.grpc_tracing import TracingInterceptor
from telefuser_grpc.telemetry.metered_store import MeteredTaskStore
from telefuser_grpc.telemetry.metrics import Metrics
from telefuser_grpc.telemetry.startup import startup_summaries
from telefuser_grpc.telemetry.tracing import configure_tracing
from telefuser_grpc.workers.devices import AllotmentError
from telefuser_grpc.workers.pool import LocalReplicaPool

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
        pool = parts.pool(settings, self._pipeline)
        store = await stack.enter_async_context(SqliteTaskStore(self._root / "tasks.db"))
        gpus = parts.gpus(settings)
        metrics = (
            Metrics(
                version=__version__,
                counts=store.counts,
                replicas=pool.status,
                gpus=gpus,
            )
            if settings.enable_metrics
            else None
        )
        tasks = (
            MeteredTaskStore(store, metrics, times_stages=settings.enable_stage_metrics)
            if metrics
            else store
        )
        artifacts = LocalArtifactStore(self._root)
        uploads = parts.uploads(settings, self._root)
        scheduler = await stack.enter_async_context(
            Scheduler(
                tasks=tasks, replicas=pool, artifacts=artifacts, limits=parts.limits(settings)
            )
        )
        janitor = Janitor(
            tasks=store,
            folders=LocalTaskFolders(self._root),
            uploads=uploads,
            retention=parts.retention(settings),
        )
        admission = Admission(
            tasks=tasks,
            inputs=GuardedInputs(parts.inputs(settings, self._root, uploads), janitor),
            scheduler=scheduler,
            enforcement=parts.enforcement(settings),
        )
        desk = Desk(tasks=tasks, scheduler=scheduler)
        expiry = await stack.enter_async_context(
            Expiry(tasks=tasks, scheduler=scheduler, belongs=is_ours)
        )
        memory = DeviceMemory(gpus)
        use_cases = UseCases(
            tasks=desk,
            admission=admission,
            library=Library(tasks=desk, artifacts=artifacts, root=str(self._root)),
            uploads=GuardedUploads(uploads, janitor),
            service=Service(
                facts=self._facts,
                tasks=desk,
                scheduler=scheduler,
                admission=admission,
                replicas=pool,
            ),
            metrics=metrics.render if metrics else None,
            metrics_json=metrics.as_json if metrics else None,
            wan=WanParts(
                fetch=parts.submitted_images(settings).fetch,
                has_keys=key_check(settings, self._keys) is not None,
                watch=expiry.watch,
            ),
            memory=memory,
        )
        await self._listen(stack, use_cases, metrics)
        await stack.enter_async_context(janitor)
        await asyncio.to_thread(memory.begin)
        await stack.enter_async_context(pool)  # last: loading takes the processors from the rest
        stack.push_async_callback(scheduler.drain)  # while callers can still watch and read
        opening = asyncio.create_task(self._open(pool, admission, scheduler))
        stack.callback(opening.cancel)

    async def _listen(
        self, stack: AsyncExitStack, use_cases: UseCases, metrics: Metrics | None
    ) -> None:
        settings = self._settings
        interceptors: list[grpc.aio.ServerInterceptor] = (
            [MetricsInterceptor(metrics)] if metrics else []
        )
        if settings.otlp_endpoint:
            interceptors.insert(0, TracingInterceptor())
        runtime = stack.enter_context(runtime_folder(self._root))
        socket = runtime / "server.sock"
        address = f"unix:{socket}" if settings.gateway else f"{settings.host}:{settings.port}"
        keys = self._keys
        server = Server(
            address,
            use_cases,
            max_message_bytes=parts.max_message_bytes(settings),
            interceptors=interceptors,
            keys=key_check(settings, keys),
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

    async def _open(
        self, pool: LocalReplicaPool, admission: Admission, scheduler: Scheduler
    ) -> None:
        """Begins to admit and to run tasks once the pipeline is loaded."""
        try:
            contract = await pool.contract()
        except NoCapacity:
            self._fault = PipelineUnusable(f"the pipeline cannot be loaded: {pool.start_failure}")
            self._is_stopped.set()
            return
        admission.open(contract)
        scheduler.open()
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
