"""What a client is told: of the service itself, and in a live session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.replica import ReplicaStatus
from telefuser_grpc.domain.session import Sound


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


class PictureFormat(StrEnum):
    """How the pictures of a session are encoded; RGB has 3 bytes for each pixel."""

    JPEG = "JPEG"
    PNG = "PNG"
    RGB = "RGB"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPicture:
    """A picture of a session: `content` is in `format`."""

    content: bytes
    format: PictureFormat = PictureFormat.JPEG
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChunk:
    """What the pipeline of a session has made next.

    Attributes:
        fps: The pictures of a second, where the chunk says so.
        data: What it tells besides.
    """

    index: int
    pictures: tuple[SessionPicture, ...] = ()
    fps: float | None = None
    sound: Sound | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


SessionMessage = Mapping[str, Any] | bytes | Sound | Sequence[SessionPicture]
"""What a client says in a session: a JSON object, bytes for the pipeline, or media."""
