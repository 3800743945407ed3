"""Tasks that are made for one call: admitted together, waited for, and ended with their caller."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import TaskStalled, TaskTimeout
from telefuser_grpc.scheduler.admission import Admission, TaskRequest
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.limits import Limits
from telefuser_grpc.server.attendance import Attendance
from telefuser_grpc.server.openai.image_errors import (
    GenerationCancelled,
    GenerationFailed,
    GenerationTimeout,
)
from telefuser_grpc.server.openai.repetition import Repetition

TOO_SLOW = (TaskTimeout.reason, TaskStalled.reason)

SDK_SECONDS = 600.0
"""As long as the official SDKs wait before they send a request again."""


def longest_wait(limits: Limits) -> float:
    """Returns how long a caller may wait for images: a run that may go on is not given up."""
    return max(SDK_SECONDS, limits.task_seconds)


class ImageTasks:
    """Makes tasks for callers who wait for their images.

    Args:
        limit_seconds: How long a caller waits at most; None follows the limits of a run.
    """

    def __init__(
        self,
        *,
        tasks: Desk,
        admission: Admission,
        attendance: Attendance,
        limit_seconds: float | None = None,
    ) -> None:
        self._tasks = tasks
        self._admission = admission
        self._attendance = attendance
        self._limit_seconds = limit_seconds or longest_wait(tasks.limits)

    async def admit(self, requests: Sequence[TaskRequest], repetition: Repetition) -> list[Task]:
        """Returns a task for each request, or for none; as `Admission.admit_all`."""
        marked = [repetition.marked(each, number) for number, each in enumerate(requests)]
        admitting = asyncio.ensure_future(self._admission.admit_all(marked))
        try:
            return await asyncio.shield(admitting)
        except asyncio.CancelledError:
            admitting.add_done_callback(lambda done: self._abandon_admitted(done, repetition))
            raise

    @asynccontextmanager
    async def attended(self, tasks: Sequence[Task], *, may_return: bool) -> AsyncIterator[None]:
        """Ends the tasks when the block is left before them.

        Raises:
            GenerationTimeout: The block has taken too long.
        """
        async with AsyncExitStack() as stack:
            for task in tasks:
                attending = self._attendance.attend(task, may_return=may_return)
                await stack.enter_async_context(attending)
            limit = asyncio.timeout(self._limit_seconds)
            try:
                async with limit:
                    yield
            except TimeoutError:
                if not limit.expired():
                    raise
                raise GenerationTimeout(self._limit_seconds) from None

    async def ended(self, tasks: Sequence[Task]) -> list[Task]:
        """Waits for the tasks' ends. Raises TaskFailed, the first that is met."""
        try:
            async with asyncio.TaskGroup() as group:
                waits = [group.create_task(self._ended(task.id)) for task in tasks]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [wait.result() for wait in waits]

    async def completed(self, task_id: str) -> Task:
        """Returns a task that has ended. Raises TaskFailed if it has made nothing."""
        task = await self._tasks.get(task_id)
        if task.state is TaskState.CANCELLED:
            raise GenerationCancelled
        if task.error and task.state is TaskState.FAILED:
            if task.error.reason in TOO_SLOW:
                raise GenerationTimeout
            raise GenerationFailed(task.error)
        return task

    async def _ended(self, task_id: str) -> Task:
        async with aclosing(self._tasks.watch(task_id)) as events:
            async for _ in events:
                pass
        return await self.completed(task_id)

    def abandon(self, tasks: Sequence[Task], repetition: Repetition) -> None:
        """Ends what was admitted for a caller who has gone before anybody waited for it."""
        for task in tasks:
            self._attendance.leave(task, may_return=repetition.may_come_again)

    def _abandon_admitted(
        self, admitting: "asyncio.Future[list[Task]]", repetition: Repetition
    ) -> None:
        if not admitting.cancelled() and not admitting.exception():
            self.abandon(admitting.result(), repetition)
