"""Counts tasks where every change of theirs passes: at the door of their store."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import Preview, Progress, Task, TaskEvent, TaskState
from telefuser_grpc.scheduler.ports import TaskPage, TaskQuery, TaskStore
from telefuser_grpc.telemetry.metrics import Metrics
from telefuser_grpc.telemetry.stages import StageClock


class MeteredTaskStore:
    """A task store that does what another does, and counts what was committed.

    Args:
        times_stages: Whether the stages of runs are measured too.
    """

    def __init__(
        self,
        store: TaskStore,
        metrics: Metrics,
        *,
        times_stages: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._stages = StageClock(metrics.observe_stage, clock) if times_stages else None

    async def create(self, task: Task) -> Task:
        stored = await self._store.create(task)
        if stored.id == task.id:  # else a repeated request got its earlier task
            self._metrics.task_created(stored)
        return stored

    async def save(self, task: Task) -> Task:
        stored = await self._store.save(task)
        self._metrics.task_changed(stored)
        if self._stages:
            self._stages.change(stored)
        return stored

    def append(self, task_id: str, attempt: int, change: Progress | Preview) -> None:
        self._store.append(task_id, attempt, change)
        if isinstance(change, Preview):
            return
        self._metrics.task_advanced(task_id, change)
        if self._stages:
            self._stages.advance(task_id, change.stage)

    async def find_request(self, owner: str, request_id: str, fingerprint: str) -> Task | None:
        return await self._store.find_request(owner, request_id, fingerprint)

    async def get(self, task_id: str) -> Task:
        return await self._store.get(task_id)

    async def list(self, query: TaskQuery) -> TaskPage:
        return await self._store.list(query)

    async def find_output(self, name: str, *, owner: str = "") -> Artifact:
        return await self._store.find_output(name, owner=owner)

    def watch(self, task_id: str, after_sequence: int = 0) -> AsyncGenerator[TaskEvent, None]:
        return self._store.watch(task_id, after_sequence)

    async def unfinished(self) -> Sequence[Task]:
        return await self._store.unfinished()

    def counts(self) -> Mapping[TaskState, int]:
        return self._store.counts()

    def changes(self) -> AsyncGenerator[None, None]:
        return self._store.changes()

    async def delete(self, task_id: str) -> Task:
        return await self._store.delete(task_id)
