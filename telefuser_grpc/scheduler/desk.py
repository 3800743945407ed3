"""Where callers ask for tasks: to each of them, the tasks of others do not exist."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.queue import Queue
from telefuser_grpc.domain.task import Task, TaskEvent, TaskState
from telefuser_grpc.errors import TaskNotFound
from telefuser_grpc.scheduler.callers import current_caller, is_mine
from telefuser_grpc.scheduler.limits import Limits
from telefuser_grpc.scheduler.ports import TaskPage, TaskQuery, TaskStore
from telefuser_grpc.scheduler.scheduler import Scheduler


class Desk:
    """Reads and ends tasks for the current caller, as `TaskStore` and `Scheduler` do for all."""

    def __init__(self, *, tasks: TaskStore, scheduler: Scheduler) -> None:
        self._tasks = tasks
        self._scheduler = scheduler

    async def get(self, task_id: str) -> Task:
        """Returns a task. Raises TaskNotFound."""
        task = await self._tasks.get(task_id)
        if not is_mine(task.owner):
            raise TaskNotFound(task_id)
        return task

    async def list(self, query: TaskQuery) -> TaskPage:
        """Returns tasks, as `TaskStore.list`. Raises InvalidPageToken, TaskNotFound."""
        return await self._tasks.list(replace(query, owner=current_caller()))

    async def find_output(self, name: str) -> Artifact:
        """Returns the newest artifact with this path or file name. Raises ArtifactNotFound."""
        return await self._tasks.find_output(name, owner=current_caller())

    async def watch(self, task_id: str, after_sequence: int = 0) -> AsyncGenerator[TaskEvent, None]:
        """Yields the task's events after a sequence until it has ended. Raises TaskNotFound."""
        await self.get(task_id)
        async with aclosing(self._tasks.watch(task_id, after_sequence)) as events:
            async for event in events:
                yield event

    async def cancel(self, task_id: str) -> Task:
        """Stops a task, as `Scheduler.cancel`. Raises TaskNotFound, StorageFull."""
        await self.get(task_id)
        return await self._scheduler.cancel(task_id)

    async def delete(self, task_id: str) -> None:
        """Removes a task that has ended. Raises TaskNotFound, TaskNotEnded."""
        await self.get(task_id)
        await self._scheduler.delete(task_id)

    def holds(self, task_id: str) -> bool:
        """Tells whether a task of the caller waits or runs."""
        return self._scheduler.holds(task_id) and self._is_mine(task_id)

    def counts(self) -> Mapping[TaskState, int]:
        """Returns how many tasks of all callers are in each state."""
        return self._tasks.counts()

    def changes(self) -> AsyncGenerator[None, None]:
        """Yields now and whenever the state of any task has changed."""
        return self._tasks.changes()

    @property
    def limits(self) -> Limits:
        """What bounds the queue and a run."""
        return self._scheduler.limits

    def queue(self) -> Queue:
        """Returns what of the caller's waits and runs; limits and counts are of all."""
        queue = self._scheduler.queue()
        starts = queue.expected_starts
        return replace(
            queue,
            waiting=self._mine(queue.waiting),
            running=self._mine(queue.running),
            expected_starts={task_id: starts[task_id] for task_id in self._mine(tuple(starts))},
        )

    def place(self, task_id: str) -> int | None:
        """Returns the place of a task among all that wait, 1 for the next; None if it does not."""
        waiting = self._scheduler.queue().waiting
        return waiting.index(task_id) + 1 if task_id in waiting else None

    def running(self) -> Sequence[str]:
        """Returns the ids of the caller's tasks that run, the oldest first."""
        return self._mine(tuple(self._scheduler.running()))

    def running_count(self) -> int:
        """Returns how many tasks of all callers run."""
        return len(self._scheduler.running())

    def _mine(self, task_ids: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(task_id for task_id in task_ids if self._is_mine(task_id))

    def _is_mine(self, task_id: str) -> bool:
        return is_mine(self._scheduler.owner_of(task_id))
