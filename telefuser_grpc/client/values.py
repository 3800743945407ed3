"""What a client is told of the service itself: its queue, its replicas, its pipeline."""

from dataclasses import dataclass
from datetime import datetime

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.replica import ReplicaStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTask:
    """A waiting task; `position` counts from 1."""

    task_id: str
    position: int
    expected_start_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What waits, the next to start first, and what runs, the longest running first."""

    waiting: tuple[QueuedTask, ...]
    running: tuple[str, ...]
    limit: int
    ended_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """Counts of tasks, and every replica by number."""

    pending_count: int
    processing_count: int
    queue_limit: int
    completed_count: int
    failed_count: int
    cancelled_count: int
    replicas: tuple[ReplicaStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceMetadata:
    """The loaded pipeline's contract and how much of it is served."""

    contract: PipelineContract
    replica_count: int
    parallelism: int
    queue_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether tasks would be accepted and run, and if not, why."""

    is_ready: bool
    message: str = ""
