"""A task: one admitted request, as a value that changes by making new values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.job import RunReport
from telefuser_grpc.errors import TeleFuserError


class TaskState(StrEnum):
    """Where a task is in its life."""

    PENDING = "pending"
    PROCESSING = "processing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Tells whether the state is final."""
        return not EDGES[self]

    def may_become(self, state: "TaskState") -> bool:
        """Tells whether a task may go from this state to `state`."""
        return state in EDGES[self]


EDGES: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.PENDING: frozenset({TaskState.PROCESSING, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.PROCESSING: frozenset(
        {
            TaskState.PENDING,  # its replica died, or the server stopped: it waits again
            TaskState.CANCELLING,
            TaskState.CANCELLED,  # it stopped before CANCELLING could be written
            TaskState.COMPLETED,
            TaskState.FAILED,
        }
    ),
    TaskState.CANCELLING: frozenset({TaskState.CANCELLED}),
    TaskState.COMPLETED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
}

ACTIVE_STATES = tuple(state for state in TaskState if not state.is_terminal)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    """Why a task failed or was cancelled: a name of `ErrorReason` and a sentence."""

    reason: str
    message: str

    @classmethod
    def of(cls, error: TeleFuserError) -> "TaskError":
        """Returns what is stored of an error."""
        return cls(reason=error.reason, message=error.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an attempt has come. `steps` is 0 where the pipeline cannot say."""

    step: int
    steps: int
    stage: str = "denoising"
    remaining_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A small JPEG of what is being made, taken after `step`."""

    step: int
    image: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A task has a new state."""

    state: TaskState
    error: TaskError | None = None
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """One numbered thing that happened to a task."""

    task_id: str
    sequence: int
    time: datetime
    attempt: int
    change: StateChange | Progress | Preview

    @property
    def is_last(self) -> bool:
        """Tells whether the event ends the task."""
        return isinstance(self.change, StateChange) and self.change.state.is_terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One admitted request and what became of it.

    Attributes:
        fields: The request's parameters, completed by the contract's defaults.
        inputs: Media by field name, each a path relative to the task's own folder.
        sources: Where inputs came from, by field name, as far as everybody may see it: an address
            without credentials, query and fragment.
        output_name: The result's path relative to the task's outputs, or "" for no file.
        attempt: Counts the starts; every write of a run carries it, and an old one is refused.
        crashes: Counts the attempts that ended with the death of a process.
        sequence: The number of the task's latest event.
    """

    id: str
    kind: str
    created_at: datetime
    media_type: str = "video"
    fields: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    output_name: str = ""
    state: TaskState = TaskState.PENDING
    attempt: int = 0
    crashes: int = 0
    sequence: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    progress: Progress | None = None
    error: TaskError | None = None
    artifacts: tuple[Artifact, ...] = ()
    replica: int | None = None
    inference_seconds: float | None = None
    peak_memory_mib: float | None = None
    owner: str = ""
    request_id: str = ""
    fingerprint: str = ""
    trace_parent: str = ""

    def start(self, replica: int, now: datetime) -> "Task":
        """Returns the task as begun on a replica, under the next attempt."""
        return self._become(
            TaskState.PROCESSING,
            attempt=self.attempt + 1,
            replica=replica,
            started_at=now,
            progress=None,
            error=None,
        )

    def requeue(self, error: TeleFuserError | None = None) -> "Task":
        """Returns the task as waiting again, `error` telling of the death that interrupted it."""
        return self._become(
            TaskState.PENDING,
            crashes=self.crashes + (error is not None),
            progress=None,
            error=TaskError.of(error) if error else None,
        )

    def complete(self, artifacts: tuple[Artifact, ...], run: RunReport, now: datetime) -> "Task":
        """Returns the task with its result."""
        return self._become(
            TaskState.COMPLETED,
            artifacts=artifacts,
            finished_at=now,
            inference_seconds=run.inference_seconds,
            peak_memory_mib=run.peak_memory_mib,
        )

    def fail(self, error: TeleFuserError, now: datetime) -> "Task":
        """Returns the task as ended by an error."""
        return self._become(TaskState.FAILED, error=TaskError.of(error), finished_at=now)

    def cancelling(self) -> "Task":
        """Returns the task as being stopped."""
        return self._become(TaskState.CANCELLING)

    def cancel(self, error: TeleFuserError, now: datetime) -> "Task":
        """Returns the task as stopped for its owner."""
        return self._become(TaskState.CANCELLED, error=TaskError.of(error), finished_at=now)

    def _become(self, state: TaskState, **changes: Any) -> "Task":
        assert self.state.may_become(state), f"{self.id}: {self.state} to {state}"
        return replace(self, state=state, **changes)
