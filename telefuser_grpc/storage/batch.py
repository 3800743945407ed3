"""The rules of the task store, applied to a batch of writes before any of it is on disk."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from telefuser_grpc.domain.task import (
    Preview,
    Progress,
    StateChange,
    Task,
    TaskEvent,
    TaskState,
)
from telefuser_grpc.errors import RequestIdReused, TaskAlreadyExists, TaskNotEnded, TaskNotFound
from telefuser_grpc.scheduler.ports import StaleAttempt
from telefuser_grpc.storage.rows import Row, Stored, event_row, output_rows, task_row

RUNNING_STATES = frozenset({TaskState.PROCESSING, TaskState.CANCELLING})


@dataclass(frozen=True, slots=True)
class Create:
    """Stores a new task."""

    task: Task
    time: datetime

    @property
    def task_id(self) -> str:
        return self.task.id


@dataclass(frozen=True, slots=True)
class Save:
    """Stores a task's new state."""

    task: Task
    time: datetime

    @property
    def task_id(self) -> str:
        return self.task.id


@dataclass(frozen=True, slots=True)
class Append:
    """Adds an event of a running attempt."""

    task_id: str
    attempt: int
    change: Progress | Preview
    time: datetime


@dataclass(frozen=True, slots=True)
class Delete:
    """Removes an ended task."""

    task_id: str


@dataclass(frozen=True, slots=True)
class Measure:
    """Stores what an ended task's folder holds."""

    task_id: str
    size_bytes: int


Write = Create | Save | Append | Delete | Measure


@dataclass(slots=True)
class Found:
    """What the database holds of the tasks that a batch names and that are not active."""

    tasks: dict[str, Stored] = field(default_factory=dict)
    requests: dict[tuple[str, str], str] = field(default_factory=dict)


class Batch:
    """Applies writes in order and collects the rows and events that they make.

    A write either applies whole or raises and leaves no trace.
    """

    def __init__(self, active: Mapping[str, Stored], found: Found, *, last_ordinal: int) -> None:
        self.last_ordinal = last_ordinal
        self.staged: dict[str, Stored | None] = {}  # None once deleted
        self.events: list[TaskEvent] = []
        self.task_rows: dict[int, Row] = {}
        self.event_rows: list[Row] = []
        self.output_rows: list[Row] = []
        self.deleted: dict[int, Task] = {}
        self.sizes: dict[int, int] = {}
        self.count_changes: Counter[TaskState] = Counter()
        self.bytes_change = 0
        self._active = active
        self._found = found

    def apply(self, write: Write) -> Task:
        """Applies one write and returns the task after it."""
        match write:
            case Create():
                return self._create(write)
            case Save():
                return self._save(write)
            case Append():
                return self._append(write)
            case Delete():
                return self._delete(write)
            case Measure():
                return self._measure(write)

    def _create(self, write: Create) -> Task:
        if earlier := self._earlier(write.task):
            return earlier
        if self._find(write.task.id):
            raise TaskAlreadyExists(write.task.id)
        task = replace(write.task, sequence=1)
        self._stage(self.last_ordinal + 1, task, _state_change(task), write.time)
        self.last_ordinal += 1
        self.count_changes[task.state] += 1
        self._found.requests[task.owner, task.request_id] = task.id
        return task

    def _earlier(self, task: Task) -> Task | None:
        task_id = self._found.requests.get((task.owner, task.request_id))
        if not task.request_id or task_id is None:
            return None
        return matching(self._find(task_id), task.request_id, task.fingerprint)

    def _save(self, write: Save) -> Task:
        task = write.task
        ordinal, stored = self._get(task.id)
        attempt = stored.attempt + (task.state is TaskState.PROCESSING)
        if task.attempt != attempt or not stored.state.may_become(task.state):
            raise StaleAttempt(
                f"{task.id}: {task.state} of attempt {task.attempt} came to "
                f"{stored.state} of attempt {stored.attempt}"
            )
        runs_on = task.attempt == stored.attempt and task.state is not TaskState.PENDING
        progress = stored.progress if runs_on else None
        task = replace(task, sequence=stored.sequence + 1, progress=progress)
        self._stage(ordinal, task, _state_change(task), write.time)
        self.count_changes[stored.state] -= 1
        self.count_changes[task.state] += 1
        return task

    def _append(self, write: Append) -> Task:
        ordinal, stored = self._get(write.task_id)
        if write.attempt != stored.attempt or stored.state not in RUNNING_STATES:
            raise StaleAttempt(f"{stored.id}: an event of attempt {write.attempt} came too late")
        progress = write.change if isinstance(write.change, Progress) else stored.progress
        task = replace(stored, sequence=stored.sequence + 1, progress=progress)
        self._stage(ordinal, task, write.change, write.time)
        return task

    def _delete(self, write: Delete) -> Task:
        ordinal, task = self._get_ended(write.task_id)
        self.staged[task.id] = None
        self.count_changes[task.state] -= 1
        self.deleted[ordinal] = task
        self.task_rows.pop(ordinal, None)
        self.sizes.pop(ordinal, None)
        self.event_rows = [row for row in self.event_rows if row[0] != ordinal]
        self.output_rows = [row for row in self.output_rows if row[1] != ordinal]
        return task

    def _measure(self, write: Measure) -> Task:
        ordinal, task = self._get_ended(write.task_id)
        self.sizes[ordinal] = write.size_bytes
        return task

    def _stage(
        self, ordinal: int, task: Task, change: StateChange | Progress | Preview, time: datetime
    ) -> None:
        """Takes a task's new value and the event that tells of it; encodes before it changes."""
        stored = Stored(ordinal, task)
        event = TaskEvent(
            task_id=task.id, sequence=task.sequence, time=time, attempt=task.attempt, change=change
        )
        new_event_row = event_row(ordinal, event)
        if isinstance(change, StateChange):
            new_task_row, new_output_rows = task_row(stored), output_rows(stored)
            self.task_rows[ordinal] = new_task_row
            self.output_rows += new_output_rows
        self.event_rows.append(new_event_row)
        self.events.append(event)
        self.staged[task.id] = stored

    def _get_ended(self, task_id: str) -> Stored:
        stored = self._get(task_id)
        if not stored.task.state.is_terminal:
            raise TaskNotEnded(task_id, stored.task.state)
        return stored

    def _get(self, task_id: str) -> Stored:
        stored = self._find(task_id)
        if stored is None:
            raise TaskNotFound(task_id)
        return stored

    def _find(self, task_id: str) -> Stored | None:
        if task_id in self.staged:
            return self.staged[task_id]
        return self._active.get(task_id) or self._found.tasks.get(task_id)


def matching(stored: Stored | None, request_id: str, fingerprint: str) -> Task | None:
    """Returns the task of an earlier request, if the request was the same."""
    if stored is None:
        return None
    if stored.task.fingerprint != fingerprint:
        raise RequestIdReused(request_id)
    return stored.task


def _state_change(task: Task) -> StateChange:
    return StateChange(state=task.state, error=task.error, artifacts=task.artifacts)
