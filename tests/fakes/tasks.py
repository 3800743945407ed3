"""A task store in memory: the port's promises in the fewest words."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import (
    Preview,
    Progress,
    StateChange,
    Task,
    TaskEvent,
    TaskState,
)
from telefuser_grpc.errors import (
    ArtifactNotFound,
    InvalidPageToken,
    RequestIdReused,
    StorageFull,
    TaskAlreadyExists,
    TaskNotEnded,
    TaskNotFound,
)
from telefuser_grpc.scheduler.ports import EndedTask, StaleAttempt, TaskPage, TaskQuery
from tests.fakes.builders import NOW


class MemoryTaskStore:
    """A `TaskStore` and `TaskArchive` in a dict. While `full` is set, every write is refused."""

    def __init__(self, *, clock: Callable[[], datetime] = lambda: NOW) -> None:
        self.full = False
        self._clock = clock
        self._tasks: dict[str, Task] = {}
        self._ordinals: dict[str, int] = {}
        self._created = 0
        self._events: dict[str, list[TaskEvent]] = {}
        self._sizes: dict[str, int] = {}
        self._state_changes = 0
        self._pulse = asyncio.Event()

    async def create(self, task: Task) -> Task:
        self._check_room()
        if earlier := await self.find_request(task.owner, task.request_id, task.fingerprint):
            return earlier
        if task.id in self._tasks:
            raise TaskAlreadyExists(task.id)
        self._created += 1
        self._ordinals[task.id] = self._created
        self._events[task.id] = []
        return self._tell(task, StateChange(state=task.state))

    async def find_request(self, owner: str, request_id: str, fingerprint: str) -> Task | None:
        for task in self._tasks.values():
            if request_id and (task.owner, task.request_id) == (owner, request_id):
                if task.fingerprint != fingerprint:
                    raise RequestIdReused(request_id)
                return task
        return None

    async def save(self, task: Task) -> Task:
        self._check_room()
        stored = await self.get(task.id)
        attempt = stored.attempt + (task.state is TaskState.PROCESSING)
        if task.attempt != attempt or not stored.state.may_become(task.state):
            raise StaleAttempt(task.id)
        runs_on = task.attempt == stored.attempt and task.state is not TaskState.PENDING
        task = replace(task, progress=stored.progress if runs_on else None)
        change = StateChange(state=task.state, error=task.error, artifacts=task.artifacts)
        return self._tell(task, change)

    def append(self, task_id: str, attempt: int, change: Progress | Preview) -> None:
        task = self._tasks.get(task_id)
        runs = {TaskState.PROCESSING, TaskState.CANCELLING}
        if self.full or task is None or task.attempt != attempt or task.state not in runs:
            return
        if isinstance(change, Progress):
            task = replace(task, progress=change)
        self._tell(task, change)

    async def get(self, task_id: str) -> Task:
        if task_id not in self._tasks:
            raise TaskNotFound(task_id)
        return self._tasks[task_id]

    async def list(self, query: TaskQuery) -> TaskPage:
        filter_text = repr(
            (sorted(query.states), sorted(query.kinds), query.owner, query.oldest_first)
        )
        by_age = sorted(
            self._tasks.values(),
            key=lambda task: self._ordinals[task.id],
            reverse=not query.oldest_first,
        )
        place = 0 if query.oldest_first else self._created + 1
        if query.page_token:
            token_place, _, token_filter = query.page_token.partition(":")
            if token_filter != filter_text:
                raise InvalidPageToken
            place = int(token_place)
        elif query.after_id:
            place = self._ordinals[(await self.get(query.after_id)).id]
        in_order = [
            task
            for task in by_age
            if (self._ordinals[task.id] - place) * (1 if query.oldest_first else -1) > 0
            and task.state in (query.states or TaskState)
            and task.kind in (query.kinds or (task.kind,))
            and task.owner in (query.owner or task.owner,)
        ]
        page = tuple(in_order[: query.page_size])
        more = len(in_order) > len(page)
        token = f"{self._ordinals[page[-1].id]}:{filter_text}" if more else ""
        return TaskPage(tasks=page, next_page_token=token)

    async def find_output(self, name: str, *, owner: str = "") -> Artifact:
        mine = [task for task in self._tasks.values() if owner in ("", task.owner)]
        for task in reversed(mine):
            for artifact in reversed(task.artifacts):
                if name in (artifact.name, artifact.filename):
                    return artifact
        raise ArtifactNotFound(name)

    async def watch(self, task_id: str, after_sequence: int = 0) -> AsyncGenerator[TaskEvent, None]:
        await self.get(task_id)
        events = self._events[task_id]
        place = after_sequence
        while True:
            while place < len(events):
                place += 1
                yield events[place - 1]
            if task_id not in self._tasks or events[-1].is_last:
                return
            await self._pulse.wait()

    async def unfinished(self) -> Sequence[Task]:
        return [task for task in self._tasks.values() if not task.state.is_terminal]

    def counts(self) -> Mapping[TaskState, int]:
        states = [task.state for task in self._tasks.values()]
        return {state: states.count(state) for state in TaskState}

    async def changes(self) -> AsyncGenerator[None, None]:
        seen = -1
        while True:
            while seen == self._state_changes:
                await self._pulse.wait()
            seen = self._state_changes
            yield

    async def delete(self, task_id: str) -> Task:
        self._check_room()
        task = await self.get(task_id)
        if not task.state.is_terminal:
            raise TaskNotEnded(task_id, task.state)
        del self._tasks[task_id], self._ordinals[task_id], self._events[task_id]
        self._sizes.pop(task_id, None)
        self._state_changes += 1
        self._wake()
        return task

    async def oldest_ended(
        self, states: Collection[TaskState], *, before: datetime | None = None, limit: int
    ) -> Sequence[EndedTask]:
        ended = [
            (task.finished_at or task.created_at, self._ordinals[task.id], task.id)
            for task in self._tasks.values()
            if task.state in states
        ]
        old = [task_id for time, _, task_id in sorted(ended) if before is None or time < before]
        return [self._ended(task_id) for task_id in old[:limit]]

    async def largest_ended(
        self, states: Collection[TaskState], *, above_bytes: int, limit: int
    ) -> Sequence[EndedTask]:
        large = [
            (-size_bytes, self._ordinals[task_id], task_id)
            for task_id, size_bytes in self._sizes.items()
            if size_bytes > above_bytes and self._tasks[task_id].state in states
        ]
        return [self._ended(task_id) for _, _, task_id in sorted(large)[:limit]]

    async def unmeasured(self, *, limit: int) -> Sequence[EndedTask]:
        ended = [task.id for task in self._tasks.values() if task.state.is_terminal]
        return [EndedTask(id=each) for each in ended if each not in self._sizes][:limit]

    async def measure(self, task_id: str, size_bytes: int) -> None:
        self._check_room()
        task = await self.get(task_id)
        if not task.state.is_terminal:
            raise TaskNotEnded(task_id, task.state)
        self._sizes[task_id] = size_bytes

    def ended_bytes(self) -> int:
        return sum(self._sizes.values())

    async def states(self, task_ids: Sequence[str]) -> Mapping[str, TaskState]:
        return {each: self._tasks[each].state for each in task_ids if each in self._tasks}

    async def changed(self) -> None:
        """Waits until something is written."""
        await self._pulse.wait()

    def ids(self) -> Sequence[str]:
        """Returns the ids of all tasks, by age."""
        return list(self._tasks)

    def _ended(self, task_id: str) -> EndedTask:
        return EndedTask(id=task_id, size_bytes=self._sizes.get(task_id))

    def _tell(self, task: Task, change: StateChange | Progress | Preview) -> Task:
        event = TaskEvent(
            task_id=task.id,
            sequence=len(self._events[task.id]) + 1,
            time=self._clock(),
            attempt=task.attempt,
            change=change,
        )
        self._tasks[task.id] = task = replace(task, sequence=event.sequence)
        self._events[task.id].append(event)
        self._state_changes += isinstance(change, StateChange)
        self._wake()
        return task

    def _wake(self) -> None:
        self._pulse.set()
        self._pulse.clear()

    def _check_room(self) -> None:
        if self.full:
            raise StorageFull
