"""Removes what need not be kept any longer, and what nobody owns."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Self

import structlog

from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import StorageFull, TaskNotEnded, TaskNotFound, TeleFuserError
from telefuser_grpc.scheduler.ports import EndedTask, TaskArchive, TaskFolders, UploadSweep
from telefuser_grpc.scheduler.retention import Retention, ago

logger = structlog.get_logger()

TASKS_AT_ONCE = 32
REST_SECONDS = 0.1  # tasks that end in quick succession are looked at together
ORPHAN_SECONDS = 3600.0  # far more than an admission takes: its files come before its task


class Janitor:
    """Applies the retention: one thing at a time, each in small steps, the files in threads.

    A pass at the start and at each interval does everything. In between, commits that change
    states have the bounds held, some times a second at most: count, bytes and the disk's reserve.
    Only ended tasks are removed: first the task, then its folder, so that what a crash leaves is a
    folder without a task, which a later pass finds.
    """

    def __init__(
        self,
        *,
        tasks: TaskArchive,
        folders: TaskFolders,
        uploads: UploadSweep,
        retention: Retention,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tasks = tasks
        self._folders = folders
        self._uploads = uploads
        self._retention = retention
        self._clock = clock
        self._started_at = clock()
        self._turn = asyncio.Lock()
        self._removed = 0
        self._leaving: dict[str, asyncio.Event] = {}
        self._work: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._started_at = self._clock()
        self._work = [
            asyncio.create_task(self._pass_regularly()),
            asyncio.create_task(self._follow_changes()),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for work in self._work:
            work.cancel()
        await asyncio.wait(self._work)

    async def run_pass(self) -> None:
        """Does all that there is to do; what one step cannot do keeps no other from its work."""
        async with self._turn:
            before = self._removed
            for step in (self._sweep, self._remove_expired, self._hold_bounds):
                await _guarded(step)
            logger.info("clean-up is done", tasks=self._removed - before)

    async def hold_bounds(self) -> None:
        """Removes ended tasks until count, bytes and the disk's reserve are as they should be."""
        async with self._turn:
            await self._hold_bounds()

    async def make_room(self) -> None:
        """Makes room for new files.

        Raises:
            StorageFull: The disk's reserve is used up and nothing can be removed.
        """
        if await self._is_short_of_room():
            await self.hold_bounds()
            if await self._is_short_of_room():
                raise StorageFull

    async def make_way(self, task_id: str) -> None:
        """Makes room for a new task, and waits until an earlier one of its name is quite gone.

        Raises:
            StorageFull: As `make_room`.
        """
        await self.make_room()
        while leaving := self._leaving.get(task_id):
            await leaving.wait()

    async def _pass_regularly(self) -> None:
        while True:
            await self.run_pass()
            await asyncio.sleep(self._retention.interval_seconds)

    async def _follow_changes(self) -> None:
        async with aclosing(self._tasks.changes()) as changes:
            async for _ in changes:
                await _guarded(self.hold_bounds)
                await asyncio.sleep(REST_SECONDS)

    async def _remove_expired(self) -> None:
        before = self._retention.expiry(self._clock())
        if before is None:
            return
        states = self._retention.removable
        while old := await self._tasks.oldest_ended(states, before=before, limit=TASKS_AT_ONCE):
            await self._remove(old, why="age")

    async def _hold_bounds(self) -> None:
        await self._hold_count()
        if self._retention.measures:
            await self._measure()
        if self._retention.max_task_bytes:
            await self._remove_large()
        if self._retention.max_total_bytes:
            await self._hold_total()
        while await self._is_short_of_room():
            if not await self._remove_oldest(1, why="reserve"):
                break

    async def _hold_count(self) -> None:
        states = self._retention.removable
        while True:
            counts = self._tasks.counts()
            excess = sum(counts[state] for state in states) - self._retention.keep_count
            if excess <= 0 or not await self._remove_oldest(excess, why="count"):
                return

    async def _measure(self) -> None:
        while tasks := await self._tasks.unmeasured(limit=TASKS_AT_ONCE):
            sizes = await self._folders.sizes([task.id for task in tasks])
            await asyncio.gather(*(self._store_size(*each) for each in sizes.items()))

    async def _store_size(self, task_id: str, size_bytes: int) -> None:
        try:
            await self._tasks.measure(task_id, size_bytes)
        except (TaskNotFound, TaskNotEnded):
            logger.debug("task was deleted before it was measured", task_id=task_id)

    async def _remove_large(self) -> None:
        states, most = self._retention.removable, self._retention.max_task_bytes
        while large := await self._tasks.largest_ended(
            states, above_bytes=most, limit=TASKS_AT_ONCE
        ):
            await self._remove(large, why="task bytes")

    async def _hold_total(self) -> None:
        states, most = self._retention.removable, self._retention.max_total_bytes
        while (excess := self._tasks.ended_bytes() - most) > 0:
            oldest = await self._tasks.oldest_ended(states, limit=TASKS_AT_ONCE)
            if not oldest:
                return
            await self._remove(_first_with(excess, oldest), why="total bytes")

    async def _remove_oldest(self, count: int, *, why: str) -> bool:
        limit = min(count, TASKS_AT_ONCE)
        oldest = await self._tasks.oldest_ended(self._retention.removable, limit=limit)
        await self._remove(oldest, why=why)
        return bool(oldest)

    async def _is_short_of_room(self) -> bool:
        reserve = self._retention.reserve_bytes
        return bool(reserve) and await self._folders.free_bytes() < reserve

    async def _remove(self, tasks: Sequence[EndedTask], *, why: str) -> None:
        """Removes tasks, then their folders; nobody takes one of the names meanwhile."""
        gone = asyncio.Event()
        task_ids = [task.id for task in tasks]
        self._leaving.update(dict.fromkeys(task_ids, gone))
        try:
            deleted = await asyncio.gather(*map(self._delete, task_ids))
            removed = [task_id for task_id in deleted if task_id]
            self._removed += len(removed)
            await self._folders.delete(removed)
        finally:
            for task_id in task_ids:
                del self._leaving[task_id]
            gone.set()
        logger.debug("tasks removed", why=why, tasks=task_ids)

    async def _delete(self, task_id: str) -> str:
        """Returns the id, or nothing where another was faster, who then owns the folder."""
        try:
            await self._tasks.delete(task_id)
        except (TaskNotFound, TaskNotEnded):
            return ""
        return task_id

    async def _sweep(self) -> None:
        await self._folders.finish_removals()
        async with aclosing(self._folders.names()) as names:
            async for task_ids in names:
                await self._sweep_folders(task_ids)
        if self._retention.tmp_retention_seconds:
            uploads = await self._uploads.sweep(self._tmp_expiry())
            logger.debug("uploads swept", removed=uploads)

    async def _sweep_folders(self, task_ids: Sequence[str]) -> None:
        states = await self._tasks.states(task_ids)
        forsaken = self._forsaken_before()
        orphans = [task_id for task_id in task_ids if task_id not in states]
        if removed := await self._folders.delete_stale(orphans, forsaken):
            logger.info("folders without a task removed", tasks=list(removed))
        ended = [each for each, state in states.items() if state in self._retention.removable]
        if self._retention.tmp_retention_seconds:
            await self._folders.discard_parts(ended, self._tmp_expiry())
        unfinished = [each for each in ended if states[each] is not TaskState.COMPLETED]
        await self._folders.discard_outputs(unfinished, forsaken)

    def _forsaken_before(self) -> datetime:
        """What was written before then and has no owner is of a dead server, or was forgotten."""
        return max(self._started_at, ago(self._clock(), ORPHAN_SECONDS))

    def _tmp_expiry(self) -> datetime:
        return ago(self._clock(), self._retention.tmp_retention_seconds)


def _first_with(size_bytes: int, tasks: Sequence[EndedTask]) -> list[EndedTask]:
    """Returns the first tasks that hold so much together, or all."""
    taken = []
    for task in tasks:
        taken.append(task)
        size_bytes -= task.size_bytes or 0
        if size_bytes <= 0:
            break
    return taken


async def _guarded(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except TeleFuserError as error:
        logger.warning("clean-up was interrupted", error=error.message)
    except OSError as error:
        logger.warning("clean-up was interrupted", error=error.strerror)
    except Exception:  # the border of background work: the next pass may do better
        logger.exception("clean-up failed")
