"""Ends tasks that were made for somebody who waits, once nobody waits any more."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from telefuser_grpc.domain.task import Task
from telefuser_grpc.errors import TeleFuserError
from telefuser_grpc.scheduler.desk import Desk

logger = structlog.get_logger()

RETURN_SECONDS = 10.0
"""More than the longest pause that official SDKs make before they send a request again."""


class Attendance:
    """Counts who waits for a task, and cancels it when the last one goes before its end."""

    def __init__(self, tasks: Desk, *, return_seconds: float = RETURN_SECONDS) -> None:
        self._tasks = tasks
        self._return_seconds = return_seconds
        self._waiting: Counter[str] = Counter()
        self._leaving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def attend(self, task: Task, *, may_return: bool) -> AsyncIterator[None]:
        """Waits for a task inside the block; one who may return leaves it a while to live.

        Who was told of an error is not waited for.
        """
        self._waiting[task.id] += 1
        try:
            yield
        except TeleFuserError:
            may_return = False
            raise
        finally:
            self._waiting[task.id] -= 1
            if not self._waiting[task.id]:
                del self._waiting[task.id]
                self.leave(task, may_return=may_return)

    def leave(self, task: Task, *, may_return: bool) -> None:
        """Ends a task that nobody waits for, unless somebody comes in time."""
        if task.id in self._waiting or not self._tasks.holds(task.id):
            return
        seconds = self._return_seconds if may_return else 0
        leaving = asyncio.create_task(self._cancel(task.id, seconds))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _cancel(self, task_id: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if task_id in self._waiting:
            return
        try:
            await self._tasks.cancel(task_id)
        except TeleFuserError as error:
            logger.warning("task is not cancelled", task_id=task_id, error=error.message)
