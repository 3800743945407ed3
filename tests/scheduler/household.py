"""What the tests of the clean-up arrange: ended tasks with files, at chosen times."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import ReplicaDied
from telefuser_grpc.scheduler.janitor import Janitor
from telefuser_grpc.scheduler.ports import TaskArchive
from telefuser_grpc.scheduler.retention import Retention
from tests.fakes.builders import NOW, ended, make_task, started
from tests.fakes.folders import MemoryTaskFolders, MemoryUploads
from tests.fakes.tasks import MemoryTaskStore

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
FOR_EVER = {"retention_seconds": 0, "tmp_retention_seconds": 0, "keep_count": 10_000}


def ago(time: timedelta) -> datetime:
    """Returns when that was."""
    return NOW - time


class Household:
    """Tasks and folders, and janitors for them. `now` is the time."""

    def __init__(self) -> None:
        self.now = NOW
        self.tasks = MemoryTaskStore()
        self.folders = MemoryTaskFolders()
        self.uploads = MemoryUploads()

    def janitor(self, *, tasks: TaskArchive | None = None, **retention: Any) -> Janitor:
        """Returns a janitor that keeps everything but for what is given."""
        return Janitor(
            tasks=tasks or self.tasks,
            folders=self.folders,
            uploads=self.uploads,
            retention=Retention(**(FOR_EVER | retention)),
            clock=lambda: self.now,
        )

    async def task(
        self,
        task_id: str,
        state: TaskState = TaskState.COMPLETED,
        *,
        finished_at: datetime = NOW,
        size_bytes: int = 1,
    ) -> Task:
        """Stores a task in a state, with an input that was written when it ended."""
        if size_bytes:
            self.folders.write(task_id, "inputs/a.png", size_bytes=size_bytes, time=finished_at)
        task = await self.tasks.create(make_task(task_id))
        if state is TaskState.PENDING:
            return await self._requeued(task)
        task = await self.tasks.save(started(task))
        if state is TaskState.PROCESSING:
            return task
        if state in (TaskState.CANCELLING, TaskState.CANCELLED):
            task = await self.tasks.save(task.cancelling())
        if state is TaskState.CANCELLING:
            return task
        done = replace(task, state=state) if state is TaskState.CANCELLED else ended(task, state)
        return await self.tasks.save(replace(done, finished_at=finished_at))

    def ids(self) -> list[str]:
        """Returns the ids of stored tasks, by their name."""
        return sorted(self.tasks.ids())

    def folder_names(self) -> list[str]:
        """Returns the ids of tasks with files, by their name."""
        return sorted({path.partition("/")[0] for path in self.folders.paths()})

    async def _requeued(self, task: Task) -> Task:
        running = await self.tasks.save(started(task))
        return await self.tasks.save(running.requeue(ReplicaDied("replica 0 died")))
