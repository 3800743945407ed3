"""Tasks and their events on one machine's disk, in SQLite."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import Preview, Progress, Task, TaskEvent, TaskState
from telefuser_grpc.errors import ArtifactNotFound, RequestIdReused, TaskNotFound
from telefuser_grpc.scheduler.ports import EndedTask, TaskPage, TaskQuery
from telefuser_grpc.storage.batch import Append, Create, Delete, Measure, Save
from telefuser_grpc.storage.clock import utc_now
from telefuser_grpc.storage.endings import FOR_EVER
from telefuser_grpc.storage.memory import ShortStories, TaskMemory
from telefuser_grpc.storage.reader import Reader
from telefuser_grpc.storage.rows import microseconds
from telefuser_grpc.storage.watchers import Hub
from telefuser_grpc.storage.writer import Commit, Writer


class SqliteTaskStore:
    """A `TaskStore` and `TaskArchive` on one SQLite file, which one server at a time may hold.

    A writer thread commits all that waits in one transaction and then tells of it; a reader thread
    reads what is not in memory. The event loop never waits for the disk.
    """

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._memory = TaskMemory()
        self._stories = ShortStories()
        self._hub = Hub()
        self._writer = Writer(path, self._publish)
        self._reader = Reader(path)

    async def __aenter__(self) -> Self:
        """Opens the file and loads what is active. Raises UnusableDatabase."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._writer.close)
            opened = await self._writer.open()
            stack.push_async_callback(self._reader.close)
            await self._reader.open()
            stack.callback(self._hub.close)
            self._memory.load(opened.active, opened.counts)
            self._memory.ended_bytes = opened.ended_bytes
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the watchers, writes what waits, and closes the file."""
        await self._open.aclose()

    async def create(self, task: Task) -> Task:
        return await self._writer.submit(Create(task, self._clock()))

    async def find_request(self, owner: str, request_id: str, fingerprint: str) -> Task | None:
        task = await self._reader.request(owner, request_id) if request_id else None
        if task and task.fingerprint != fingerprint:
            raise RequestIdReused(request_id)
        return self._memory.get(task.id) or task if task else None

    async def save(self, task: Task) -> Task:
        return await self._writer.submit(Save(task, self._clock()))

    def append(self, task_id: str, attempt: int, change: Progress | Preview) -> None:
        self._writer.offer(Append(task_id, attempt, change, self._clock()))

    async def get(self, task_id: str) -> Task:
        if task := self._memory.get(task_id):
            return task
        deletion_count = self._memory.deletion_count
        task = await self._reader.task(task_id)
        if task is None:
            raise TaskNotFound(task_id)
        if deletion_count == self._memory.deletion_count:
            self._memory.remember(task)
        return task

    async def list(self, query: TaskQuery) -> TaskPage:
        page = await self._reader.page(query)
        return replace(page, tasks=tuple(map(self._memory.up_to_date, page.tasks)))

    async def find_output(self, name: str, *, owner: str = "") -> Artifact:
        artifact = await self._reader.output(name, owner)
        if artifact is None:
            raise ArtifactNotFound(name)
        return artifact

    async def watch(self, task_id: str, after_sequence: int = 0) -> AsyncGenerator[TaskEvent, None]:
        place = after_sequence
        with self._hub.topic(task_id) as topic:
            task = await self.get(task_id)
            while place < task.sequence:
                history = self._stories.after(task_id, place) or await self._reader.events(
                    task_id, place
                )
                if not history:
                    return  # deleted meanwhile
                for event in history:
                    place = event.sequence
                    yield event
            if task.state.is_terminal:
                return
            while event_or_end := await topic.next(place):
                place = event_or_end.sequence
                yield event_or_end

    async def unfinished(self) -> Sequence[Task]:
        return self._memory.active()

    def counts(self) -> Mapping[TaskState, int]:
        return self._memory.counts()

    def changes(self) -> AsyncGenerator[None, None]:
        return self._hub.changes()

    async def delete(self, task_id: str) -> Task:
        return await self._writer.submit(Delete(task_id))

    async def oldest_ended(
        self, states: Collection[TaskState], *, before: datetime | None = None, limit: int
    ) -> Sequence[EndedTask]:
        end = microseconds(before) if before else FOR_EVER
        return await self._reader.oldest_ended(states, end, limit)

    async def largest_ended(
        self, states: Collection[TaskState], *, above_bytes: int, limit: int
    ) -> Sequence[EndedTask]:
        return await self._reader.largest_ended(states, above_bytes, limit)

    async def unmeasured(self, *, limit: int) -> Sequence[EndedTask]:
        return await self._reader.unmeasured(limit)

    async def measure(self, task_id: str, size_bytes: int) -> None:
        await self._writer.submit(Measure(task_id, size_bytes))

    def ended_bytes(self) -> int:
        return self._memory.ended_bytes

    async def states(self, task_ids: Sequence[str]) -> Mapping[str, TaskState]:
        return await self._reader.states(task_ids)

    def _publish(self, commit: Commit) -> None:
        for task in commit.deleted:
            self._memory.remove(task)
            self._stories.remove(task.id)
        for event in commit.events:
            self._stories.add(event)
        for task in commit.tasks:
            self._memory.put(task)
        self._memory.count(commit.count_changes)
        self._memory.ended_bytes += commit.bytes_change
        self._hub.publish(commit.events, [task.id for task in commit.deleted])
