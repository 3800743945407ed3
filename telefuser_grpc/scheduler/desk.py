"""Where callers ask for tasks: to each of them, the tasks of others do not exist.

Ids come and go as callers know them: those that they have chosen are names of their own.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.queue import Queue
from telefuser_grpc.domain.task import Task, TaskEvent, TaskState
from telefuser_grpc.errors import TaskNotEnded, TaskNotFound
from telefuser_grpc.scheduler.callers import current_caller, is_mine
from telefuser_grpc.scheduler.limits import Limits
from telefuser_grpc.scheduler.names import (
    possible_ids,
    told_event,
    told_id,
    told_queue,
    told_task,
)
from telefuser_grpc.scheduler.ports import TaskPage, TaskQuery, TaskStore
from telefuser_grpc.scheduler.scheduler import Scheduler


class Desk:
    """Reads and ends tasks for the current caller, as `TaskStore` and `Scheduler` do for all."""

    def __init__(self, *, tasks: TaskStore, scheduler: Scheduler) -> None:
        self._tasks = tasks
        self._scheduler = scheduler

    async def get(self, task_id: str) -> Task:
        """Returns a task. Raises TaskNotFound."""
        return told_task(await self._find(task_id))

    async def list(self, query: TaskQuery) -> TaskPage:
        """Returns tasks, as `TaskStore.list`. Raises InvalidPageToken, TaskNotFound."""
        after_id = (await self._find(query.after_id)).id if query.after_id else ""
        own = replace(query, owner=current_caller(), after_id=after_id)
        page = await self._tasks.list(own)
        return replace(page, tasks=tuple(map(told_task, page.tasks)))

    async def find_output(self, name: str) -> Artifact:
        """Returns the newest artifact with this path or file name. Raises ArtifactNotFound."""
        return await self._tasks.find_output(name, owner=current_caller())

    async def watch(self, task_id: str, after_sequence: int = 0) -> AsyncGenerator[TaskEvent, None]:
        """Yields the task's events after a sequence until it has ended. Raises TaskNotFound."""
        task = await self._find(task_id)
        async with aclosing(self._tasks.watch(task.id, after_sequence)) as events:
            async for event in events:
                yield told_event(event)

    async def cancel(self, task_id: str) -> Task:
        """Stops a task, as `Scheduler.cancel`. Raises TaskNotFound, StorageFull."""
        task = await self._find(task_id)
        return told_task(await self._scheduler.cancel(task.id))

    async def delete(self, task_id: str) -> None:
        """Removes a task that has ended. Raises TaskNotFound, TaskNotEnded."""
        task = await self._find(task_id)
        try:
            await self._scheduler.delete(task.id)
        except TaskNotEnded as error:
            raise TaskNotEnded(task_id, error.metadata["state"]) from None

    def holds(self, task_id: str) -> bool:
        """Tells whether a task of the caller waits or runs."""
        return any(
            self._scheduler.holds(each) and self._is_mine(each) for each in possible_ids(task_id)
        )

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
        return told_queue(
            replace(
                queue,
                waiting=self._mine(queue.waiting),
                running=self._mine(queue.running),
                expected_starts={task_id: starts[task_id] for task_id in self._mine(tuple(starts))},
            )
        )

    def place(self, task_id: str) -> int | None:
        """Returns the place of a task among all that wait, 1 for the next; None if it does not."""
        waiting = self._scheduler.queue().waiting
        ids = possible_ids(task_id)
        return next((place for place, each in enumerate(waiting, 1) if each in ids), None)

    def running(self) -> Sequence[str]:
        """Returns the ids of the caller's tasks that run, the oldest first."""
        return tuple(map(told_id, self._mine(tuple(self._scheduler.running()))))

    def names_of_running(self, task_ids: Sequence[str]) -> tuple[str, ...]:
        """Returns the caller's names of those stored tasks that are theirs and run."""
        running = (task_id for task_id in task_ids if self._scheduler.runs(task_id))
        return tuple(told_id(task_id) for task_id in running if self._is_mine(task_id))

    def running_count(self) -> int:
        """Returns how many tasks of all callers run."""
        return len(self._scheduler.running())

    async def _find(self, task_id: str) -> Task:
        """Returns a task as it is stored, by its name. Raises TaskNotFound."""
        for each in possible_ids(task_id):
            with suppress(TaskNotFound):
                task = await self._tasks.get(each)
                if is_mine(task.owner):
                    return task
        raise TaskNotFound(task_id)

    def _mine(self, task_ids: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(task_id for task_id in task_ids if self._is_mine(task_id))

    def _is_mine(self, task_id: str) -> bool:
        return is_mine(self._scheduler.owner_of(task_id))
