"""The composition root: builds the parts, wires them, runs them and closes them."""

import asyncio
import gc
import os
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import structlog
import uvloop

from telefuser_grpc import __version__
from telefuser_grpc.config import ConfigError, Settings, embedded_pipeline
from telefuser_grpc.errors import NoCapacity, TeleFuserError
from telefuser_grpc.gateway.options import GatewayError, GatewayOptions
from telefuser_grpc.gateway.process import Gateway
from telefuser_grpc.media.inputs import LocalMediaInputs
from telefuser_grpc.media.uploads import LocalUploads
from telefuser_grpc.pipeline.probe import ProbeLimits
from telefuser_grpc.scheduler.admission import Admission
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.scheduler.limits import Limits
from telefuser_grpc.scheduler.scheduler import Scheduler
from telefuser_grpc.scheduler.service import Service, ServiceFacts
from telefuser_grpc.server.server import Server, UseCases
from telefuser_grpc.storage.artifacts import LocalArtifactStore
from telefuser_grpc.storage.schema import UnusableDatabase
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from telefuser_grpc.telemetry.gpu import nvidia_gpus
from telefuser_grpc.telemetry.grpc_metrics import MetricsInterceptor
from telefuser_grpc.telemetry.grpc_tracing import TracingInterceptor
from telefuser_grpc.telemetry.logging import configure_logging
from telefuser_grpc.telemetry.metered_store import MeteredTaskStore
from telefuser_grpc.telemetry.metrics import Metrics
from telefuser_grpc.telemetry.replica import ReplicaTelemetry
from telefuser_grpc.telemetry.tracing import configure_tracing
from telefuser_grpc.workers.devices import AllotmentError, allot
from telefuser_grpc.workers.pool import LocalReplicaPool
from telefuser_grpc.workers.process import COMMAND

logger = structlog.get_logger()

STREAM_GRACE_SECONDS = 1.0
MEBIBYTE = 2**20


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
    configure_logging(format=settings.log_format, level=settings.log_level)
    try:
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
        self._pipeline = _pipeline_file(settings)
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
        pool = self._pool()
        store = await stack.enter_async_context(SqliteTaskStore(self._root / "tasks.db"))
        metrics = Metrics(
            version=__version__, counts=store.counts, replicas=pool.status, gpus=nvidia_gpus()
        )
        tasks = MeteredTaskStore(store, metrics)
        artifacts = LocalArtifactStore(self._root)
        uploads = LocalUploads(
            self._root, max_bytes=settings.max_file_size, limits=self._probe_limits()
        )
        scheduler = await stack.enter_async_context(
            Scheduler(tasks=tasks, replicas=pool, artifacts=artifacts, limits=self._limits())
        )
        admission = Admission(tasks=tasks, inputs=self._inputs(uploads), scheduler=scheduler)
        use_cases = UseCases(
            tasks=tasks,
            admission=admission,
            scheduler=scheduler,
            library=Library(tasks=tasks, artifacts=artifacts),
            uploads=uploads,
            service=Service(
                facts=self._facts(),
                tasks=tasks,
                scheduler=scheduler,
                admission=admission,
                replicas=pool,
            ),
            metrics=metrics.render,
        )
        await self._listen(stack, use_cases, metrics)
        await stack.enter_async_context(pool)  # last: loading takes the processors from the rest
        stack.push_async_callback(scheduler.drain)  # while callers can still watch and read
        opening = asyncio.create_task(self._open(pool, admission, scheduler))
        stack.callback(opening.cancel)

    async def _listen(self, stack: AsyncExitStack, use_cases: UseCases, metrics: Metrics) -> None:
        settings = self._settings
        interceptors: list[grpc.aio.ServerInterceptor] = [MetricsInterceptor(metrics)]
        if settings.otlp_endpoint:
            interceptors.insert(0, TracingInterceptor())
        runtime = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telefuser-")))
        socket = runtime / "server.sock"
        address = f"unix:{socket}" if settings.gateway else f"{settings.host}:{settings.port}"
        server = Server(
            address,
            use_cases,
            max_message_bytes=self._max_body_bytes() + MEBIBYTE,
            interceptors=interceptors,
        )
        port = await server.start()
        stack.push_async_callback(server.stop, 0)  # should the gateway not start
        if settings.gateway:
            gateway = Gateway(self._gateway_options(socket), runtime / "gateway")
            port = (await stack.enter_async_context(gateway)).port
            stack.push_async_callback(server.stop, STREAM_GRACE_SECONDS)  # ends watchers first
        logger.info("server listens", host=settings.host, port=port, gateway=settings.gateway)

    async def _open(
        self, pool: LocalReplicaPool, admission: Admission, scheduler: Scheduler
    ) -> None:
        """Begins to admit and to run tasks once the pipeline is loaded."""
        try:
            contract = await pool.contract()
        except NoCapacity:
            causes = sorted({status.last_error for status in pool.status()})
            self._fault = PipelineUnusable(f"the pipeline cannot be loaded: {'; '.join(causes)}")
            self._is_stopped.set()
            return
        admission.open(contract)
        scheduler.open()
        logger.info("pipeline is loaded", name=contract.pipeline_name, tasks=list(contract.tasks))

    def _pool(self) -> LocalReplicaPool:
        settings = self._settings
        devices = allot(
            parallelism=settings.device_count,
            replicas=settings.num_replicas,
            environment=os.environ,
        )
        telemetry = ReplicaTelemetry(
            log_format=settings.log_format,
            log_level=settings.log_level,
            trace_endpoint=settings.otlp_endpoint,
            service_name=settings.service_name,
        )
        return LocalReplicaPool(
            self._pipeline,
            task=settings.task,
            replicas=settings.num_replicas,
            devices=devices,
            parallelism=settings.device_count // settings.num_replicas,
            preview_interval_seconds=settings.preview_interval,
            start_timeout_seconds=settings.start_timeout,
            stop_grace_seconds=settings.cancel_timeout,
            command=(*COMMAND, telemetry.argument),
        )

    def _limits(self) -> Limits:
        settings = self._settings
        return Limits(
            queue=settings.max_queue_size,
            attempts=settings.max_attempts,
            task_seconds=settings.task_timeout,
            stall_seconds=settings.stall_timeout,
            cancel_seconds=settings.cancel_timeout,
            drain_seconds=settings.drain_seconds,
        )

    def _inputs(self, uploads: LocalUploads) -> LocalMediaInputs:
        return LocalMediaInputs(
            self._root,
            uploads=uploads,
            allowed_roots=self._settings.allowed_media_roots,
            max_bytes=self._settings.max_file_size,
            limits=self._probe_limits(),
        )

    def _max_body_bytes(self) -> int:
        """Room for the largest input as base64, and for the rest of a request."""
        return self._settings.max_file_size * 4 // 3 + MEBIBYTE

    def _probe_limits(self) -> ProbeLimits:
        return ProbeLimits(max_bytes=self._settings.max_file_size)

    def _facts(self) -> ServiceFacts:
        settings = self._settings
        return ServiceFacts(
            pipeline_file=str(settings.pipe_path or self._pipeline.name),
            parallelism=settings.device_count // settings.num_replicas,
            task=settings.task or "",
            replicas=settings.num_replicas,
        )

    def _gateway_options(self, socket: Path) -> GatewayOptions:
        settings = self._settings
        return GatewayOptions(
            upstream=str(socket),
            host=settings.host,
            port=settings.port,
            artifact_root=self._root,
            cors_origins=settings.cors_origins,
            otlp_endpoint=settings.otlp_endpoint,
            service_name=f"{settings.service_name}-gateway",
            access_log=settings.access_log,
            max_json_body_bytes=self._max_body_bytes(),
        )

    def _stop_on_signals(self) -> None:
        """The first signal drains; the second ends at once, which loses nothing either."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if self._is_stopped.is_set():
                os._exit(130)
            self._is_stopped.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)


def _pipeline_file(settings: Settings) -> Path:
    path = settings.pipe_path or embedded_pipeline()
    if not path.is_file():
        raise ConfigError(f"pipeline file {str(path)!r} does not exist; name a Python file")
    return path.absolute()
