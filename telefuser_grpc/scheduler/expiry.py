"""Removes the tasks of an interface that promises to keep them for a fixed time only."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Self

import structlog

from telefuser_grpc.domain.task import Task
from telefuser_grpc.errors import TaskNotEnded, TaskNotFound, TeleFuserError
from telefuser_grpc.scheduler.ports import TaskQuery, TaskStore
from telefuser_grpc.scheduler.scheduler import Scheduler

logger = structlog.get_logger()

PAGE_SIZE = 500
RETRY = timedelta(seconds=60)


class Expiry:
    """Removes each task that belongs to it a fixed time after its end, with all its files.

    A task is looked at when it could expire at the earliest. What an earlier server has left is
    found at the start.

    Args:
        belongs: Tells whose tasks are meant.
        seconds: How long a task is kept after its end.
    """

    def __init__(
        self,
        *,
        tasks: TaskStore,
        scheduler: Scheduler,
        belongs: Callable[[Task], bool],
        seconds: float = 3600.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tasks = tasks
        self._scheduler = scheduler
        self._belongs = belongs
        self._age = timedelta(seconds=seconds)
        self._clock = clock
        self._due: list[tuple[datetime, str]] = []
        self._is_new = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._work = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._work.cancel()
        await asyncio.wait([self._work])

    def watch(self, task_id: str) -> None:
        """Takes in a task that is about to be created; it is no fault if it never is."""
        self._put(self._clock() + self._age, task_id)

    async def remove_due(self) -> None:
        """Removes what has expired."""
        while self._due and self._due[0][0] <= self._clock():
            _, task_id = heapq.heappop(self._due)
            try:
                await self._look_at(task_id)
            except (TaskNotFound, TaskNotEnded):
                logger.debug("there is no such task to expire", task_id=task_id)
            except (TeleFuserError, OSError) as error:
                logger.warning("expired task is not removed", task_id=task_id, error=str(error))
                self._put(self._clock() + RETRY, task_id)

    async def _run(self) -> None:
        try:
            await self._find_earlier()
            while True:
                await self.remove_due()
                await self._until_due()
        except Exception:  # the border of background work
            logger.exception("expiry has stopped")

    async def _find_earlier(self) -> None:
        query = TaskQuery(page_size=PAGE_SIZE)
        while True:
            page = await self._tasks.list(query)
            for task in filter(self._belongs, page.tasks):
                self._put(self._end_of(task), task.id)
            if not page.next_page_token:
                return
            query = TaskQuery(page_size=PAGE_SIZE, page_token=page.next_page_token)

    async def _look_at(self, task_id: str) -> None:
        """Removes a task if it has expired, else looks again when it could have."""
        end = self._end_of(await self._tasks.get(task_id))
        if end > self._clock():
            self._put(end, task_id)
            return
        await self._scheduler.delete(task_id)
        logger.info("expired task removed", task_id=task_id)

    def _end_of(self, task: Task) -> datetime:
        return (task.finished_at or self._clock()) + self._age

    def _put(self, due: datetime, task_id: str) -> None:
        heapq.heappush(self._due, (due, task_id))
        self._is_new.set()

    async def _until_due(self) -> None:
        self._is_new.clear()
        seconds = (self._due[0][0] - self._clock()).total_seconds() if self._due else None
        try:
            async with asyncio.timeout(seconds):
                await self._is_new.wait()
        except TimeoutError:
            return
