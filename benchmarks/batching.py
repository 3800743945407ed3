"""Where making tasks together pays, and what looking for that costs where it does not.

Two schedulers share one replica and take turns, so that only the batching differs.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.lab import PIPELINES, Lab, Rows
from benchmarks.row import Row, at_least
from telefuser_grpc.domain.task import Task
from telefuser_grpc.scheduler.limits import Limits
from telefuser_grpc.scheduler.ports import TaskStore
from telefuser_grpc.scheduler.scheduler import Scheduler
from telefuser_grpc.storage.artifacts import LocalArtifactStore
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from telefuser_grpc.workers.pool import LocalReplicaPool

OVERHEAD_BOUND = {"steps": 4, "overhead": 10, "work": 0}
COMPUTE_BOUND = {"steps": 4, "overhead": 0, "work": 8}
ROUND = 16  # tasks that wait at once
ALONE = Limits(batch_size=1)
TOGETHER = Limits()

_numbers = count()


@dataclass(frozen=True, slots=True)
class Party:
    """A scheduler and its store."""

    tasks: TaskStore
    scheduler: Scheduler

    async def make(self, number: int, fields: Mapping[str, Any]) -> float:
        """Makes so many tasks, which all wait from the beginning; returns the seconds."""
        created = [await self.tasks.create(_task(fields)) for _ in range(number)]
        start = time.perf_counter()
        for task in created:
            self.scheduler.submit(task)
        for task in created:
            async for _ in self.tasks.watch(task.id):
                pass
        return time.perf_counter() - start


async def batching(lab: Lab) -> Rows:
    """The same tasks one by one and batched, in turns."""
    rounds = lab.count(20, least=4)
    async with _pool() as pool, _party(lab.folder(), pool, ALONE) as alone:
        for name, fields, goal in (
            ("overhead-bound", OVERHEAD_BOUND, at_least(100)),
            ("compute-bound", COMPUTE_BOUND, at_least(-3)),
        ):
            async with _party(lab.folder(), pool, TOGETHER) as together:
                await alone.make(2, fields)
                pairs = [
                    (await alone.make(ROUND, fields), await together.make(ROUND, fields))
                    for _ in range(rounds)
                ]
            one_by_one, batched = zip(*pairs, strict=True)
            yield Row(f"{name} tasks, one by one", "/s", [ROUND / each for each in one_by_one])
            yield Row(f"{name} tasks, batched", "/s", [ROUND / each for each in batched])
            gain = (sum(one_by_one) / sum(batched) - 1) * 100
            yield Row(f"{name} tasks, gained by batching, all rounds", "%", [gain], (goal,))


@asynccontextmanager
async def _pool() -> AsyncIterator[LocalReplicaPool]:
    pool = LocalReplicaPool(
        PIPELINES / "batches.py",
        task=None,
        replicas=1,
        devices=[()],
        parallelism=1,
        preview_interval_seconds=1.0,
    )
    async with pool:
        await pool.contract()
        yield pool


@asynccontextmanager
async def _party(folder: Path, pool: LocalReplicaPool, limits: Limits) -> AsyncIterator[Party]:
    async with SqliteTaskStore(folder / "tasks.db") as tasks:
        artifacts = LocalArtifactStore(folder)
        scheduler = Scheduler(tasks=tasks, replicas=pool, artifacts=artifacts, limits=limits)
        async with scheduler:
            scheduler.open()
            yield Party(tasks, scheduler)


def _task(fields: Mapping[str, Any]) -> Task:
    number = next(_numbers)
    return Task(
        id=f"task_{number}",
        kind="t2v",
        media_type="none",
        created_at=datetime.now(UTC),
        fields={**fields, "seed": number},
    )
