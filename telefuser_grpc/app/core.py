"""What a service is without its network: tasks and files, who looks after them, who runs them."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from telefuser_grpc import __version__
from telefuser_grpc.app import parts
from telefuser_grpc.config import Settings
from telefuser_grpc.scheduler.admission import Admission
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.expiry import Expiry
from telefuser_grpc.scheduler.janitor import Janitor
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.scheduler.ports import TaskStore, Uploads
from telefuser_grpc.scheduler.room import GuardedInputs, GuardedUploads
from telefuser_grpc.scheduler.scheduler import Scheduler
from telefuser_grpc.scheduler.service import Service, ServiceFacts
from telefuser_grpc.server.image_to_video.memory import DeviceMemory
from telefuser_grpc.server.server import UseCases
from telefuser_grpc.server.wan.files import is_ours
from telefuser_grpc.server.wan.servicer import WanParts
from telefuser_grpc.storage.artifacts import LocalArtifactStore
from telefuser_grpc.storage.folders import LocalTaskFolders
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from telefuser_grpc.telemetry.gpu import GpuReader
from telefuser_grpc.telemetry.metered_store import MeteredTaskStore
from telefuser_grpc.telemetry.metrics import Metrics
from telefuser_grpc.workers.pool import LocalReplicaPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The parts that everything else stands on.

    Attributes:
        metrics: None where none are wanted.
        tasks: The store, measured where metrics are wanted.
        expiry: Ends the lives of tasks that an interface keeps for a promised time.
        memory: What the devices have free, and what runs were seen to need.
    """

    pool: LocalReplicaPool
    metrics: Metrics | None
    tasks: TaskStore
    artifacts: LocalArtifactStore
    uploads: Uploads
    janitor: Janitor
    scheduler: Scheduler
    admission: Admission
    expiry: Expiry
    memory: DeviceMemory


async def build_core(
    stack: AsyncExitStack, settings: Settings, *, root: Path, pipeline: Path
) -> Core:
    """Builds the parts bottom-up; the stack closes them top-down. The pool does not run yet."""
    pool = parts.pool(settings, pipeline)
    gpus = parts.gpus(settings)
    store = await stack.enter_async_context(SqliteTaskStore(root / "tasks.db"))
    metrics = _metrics(settings, store, pool, gpus)
    tasks = _metered(settings, store, metrics)
    artifacts = LocalArtifactStore(root)
    uploads = parts.uploads(settings, root)
    limits = parts.limits(settings)
    scheduler = await stack.enter_async_context(
        Scheduler(tasks=tasks, replicas=pool, artifacts=artifacts, limits=limits)
    )
    janitor = Janitor(
        tasks=store,
        folders=LocalTaskFolders(root),
        uploads=uploads,
        retention=parts.retention(settings),
    )
    admission = Admission(
        tasks=tasks,
        inputs=GuardedInputs(parts.inputs(settings, root, uploads), janitor),
        scheduler=scheduler,
        enforcement=parts.enforcement(settings),
    )
    expiry = await stack.enter_async_context(
        Expiry(tasks=tasks, scheduler=scheduler, belongs=is_ours)
    )
    return Core(
        pool=pool,
        metrics=metrics,
        tasks=tasks,
        artifacts=artifacts,
        uploads=GuardedUploads(uploads, janitor),
        janitor=janitor,
        scheduler=scheduler,
        admission=admission,
        expiry=expiry,
        memory=DeviceMemory(gpus),
    )


def use_cases(
    core: Core, settings: Settings, *, facts: ServiceFacts, root: Path, has_keys: bool
) -> UseCases:
    """Returns what callers can ask for, whatever interface they speak."""
    desk = Desk(tasks=core.tasks, scheduler=core.scheduler)
    return UseCases(
        tasks=desk,
        admission=core.admission,
        library=Library(tasks=desk, artifacts=core.artifacts, root=str(root)),
        uploads=core.uploads,
        service=Service(
            facts=facts,
            tasks=desk,
            scheduler=core.scheduler,
            admission=core.admission,
            replicas=core.pool,
        ),
        metrics=core.metrics.render if core.metrics else None,
        metrics_json=core.metrics.as_json if core.metrics else None,
        wan=WanParts(
            fetch=parts.submitted_images(settings).fetch,
            has_keys=has_keys,
            watch=core.expiry.watch,
        ),
        memory=core.memory,
    )


def _metrics(
    settings: Settings, store: SqliteTaskStore, pool: LocalReplicaPool, gpus: GpuReader
) -> Metrics | None:
    if not settings.enable_metrics:
        return None
    return Metrics(version=__version__, counts=store.counts, replicas=pool.status, gpus=gpus)


def _metered(settings: Settings, store: SqliteTaskStore, metrics: Metrics | None) -> TaskStore:
    if metrics is None:
        return store
    return MeteredTaskStore(store, metrics, times_stages=settings.enable_stage_metrics)
