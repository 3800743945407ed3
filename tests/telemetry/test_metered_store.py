"""The metered store: it counts what was committed and changes nothing else."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from telefuser_grpc.domain.task import Preview, Progress, Task, TaskState
from telefuser_grpc.errors import StorageFull, TaskAlreadyExists
from telefuser_grpc.scheduler.ports import StaleAttempt, TaskQuery, TaskStore
from telefuser_grpc.telemetry.metered_store import MeteredTaskStore
from telefuser_grpc.telemetry.metrics import Metrics
from tests.fakes.builders import ended, make_task, started
from tests.fakes.tasks import MemoryTaskStore


class Metered:
    """A metered store in memory, with a clock that a test sets."""

    def __init__(self, *, times_stages: bool = True) -> None:
        self.now = 0.0
        self.inner = MemoryTaskStore()
        self.metrics = Metrics(version="1", counts=self.inner.counts, replicas=lambda: ())
        self.store: TaskStore = MeteredTaskStore(
            self.inner, self.metrics, times_stages=times_stages, clock=lambda: self.now
        )

    @property
    def totals(self) -> dict[str, int]:
        totals: dict[str, int] = self.metrics.as_json()["tasks"]
        return totals

    def line(self, name: str) -> str:
        page = self.metrics.render().decode().splitlines()
        return next(line.split()[-1] for line in page if line.startswith(f"{name} "))

    async def run(self, task: Task) -> Task:
        return await self.store.save(started(await self.store.create(task)))

    def step(self, task: Task, step: int, *, at: float, stage: str = "denoising") -> None:
        self.now = at
        self.store.append(task.id, task.attempt, Progress(step=step, steps=2, stage=stage))


@pytest.fixture
def metered() -> Metered:
    return Metered()


async def test_script_of_tasks_is_counted_by_its_ends(metered: Metered) -> None:
    for state in (TaskState.COMPLETED, TaskState.COMPLETED, TaskState.FAILED):
        await metered.store.save(ended(await metered.run(make_task()), state))
    cancelling = await metered.store.save((await metered.run(make_task())).cancelling())
    await metered.store.save(
        cancelling.cancel(StorageFull(), cancelling.started_at or cancelling.created_at)
    )
    await metered.store.create(make_task())

    assert metered.totals == {"created": 5, "completed": 2, "failed": 1, "cancelled": 1}
    assert metered.line("telefuser_task_queue_wait_seconds_count") == "4"
    assert metered.line("telefuser_task_duration_seconds_count") == "2"
    assert metered.line("telefuser_queue_pending") == "1"


async def test_repeated_request_counts_one_task(metered: Metered) -> None:
    first = await metered.store.create(make_task(request_id="r", fingerprint="f"))
    again = await metered.store.create(make_task(request_id="r", fingerprint="f"))

    assert again == first
    assert metered.totals["created"] == 1


async def test_refused_writes_are_not_counted(metered: Metered) -> None:
    task = await metered.run(make_task())
    with pytest.raises(TaskAlreadyExists):
        await metered.store.create(make_task(task.id))
    with pytest.raises(StaleAttempt):
        await metered.store.save(started(make_task(task.id)))
    metered.inner.full = True
    with pytest.raises(StorageFull):
        await metered.store.save(ended(task))

    assert metered.totals == {"created": 1, "completed": 0, "failed": 0, "cancelled": 0}


async def test_stage_lasts_from_the_end_of_the_one_before_to_its_own_last_update(
    metered: Metered,
) -> None:
    task = await metered.run(make_task())
    metered.step(task, 1, at=2)
    metered.step(task, 2, at=4)
    metered.step(task, 1, at=4.5, stage="upscaling")
    metered.store.append(task.id, task.attempt, Preview(step=1, image=b"jpeg"))
    metered.step(task, 2, at=5, stage="upscaling")
    metered.now = 99
    await metered.store.save(ended(task))

    assert metered.line("telefuser_stage_denoising_duration_seconds_sum") == "4"
    assert metered.line("telefuser_stage_upscaling_duration_seconds_sum") == "1"
    assert metered.line("telefuser_stage_upscaling_errors_total") == "0"


async def test_failed_task_counts_an_error_of_its_stage(metered: Metered) -> None:
    task = await metered.run(make_task())
    metered.step(task, 1, at=1)
    await metered.store.save(ended(task, TaskState.FAILED))

    assert metered.line("telefuser_stage_denoising_errors_total") == "1"


async def test_stages_are_left_alone_where_that_is_wanted_and_progress_is_not() -> None:
    metered = Metered(times_stages=False)
    task = await metered.run(make_task())
    metered.step(task, 1, at=1)
    ratio = metered.line('telefuser_task_progress_ratio{replica="0"}')
    await metered.store.save(ended(task))

    assert metered.metrics.as_json()["registered_stages"] == []
    assert metered.totals["completed"] == 1
    assert ratio == "0.5"


async def test_interrupted_attempt_leaves_no_stage_behind(metered: Metered) -> None:
    task = await metered.run(make_task())
    metered.step(task, 1, at=1)
    await metered.store.save(task.requeue())

    assert metered.metrics.as_json()["registered_stages"] == []


async def test_restarted_server_counts_from_zero_and_shows_the_queue_of_the_store(
    metered: Metered,
) -> None:
    await metered.store.create(make_task())
    running = await metered.run(make_task())

    metrics = Metrics(version="1", counts=metered.inner.counts, replicas=lambda: ())
    store = MeteredTaskStore(metered.inner, metrics)
    await store.save(ended(running))

    assert metrics.as_json()["tasks"] == {"created": 0, "completed": 1, "failed": 0, "cancelled": 0}
    assert metrics.as_json()["queue"] == {"size": 1, "pending": 1, "processing": 0}


async def test_readers_see_what_the_store_inside_says(metered: Metered) -> None:
    store = metered.store
    task = await metered.run(make_task(request_id="r", fingerprint="f"))
    done = await store.save(ended(task))

    events = [event async for event in store.watch(task.id)]

    assert await store.get(task.id) == await metered.inner.get(task.id)
    assert (await store.list(TaskQuery())).tasks == (done,)
    assert await store.find_request("", "r", "f") == done
    assert await store.find_output(f"{task.id}.mp4") == done.artifacts[0]
    assert await store.unfinished() == []
    assert store.counts()[TaskState.COMPLETED] == 1
    assert [event.sequence for event in events] == [1, 2, 3]
    assert await store.delete(task.id) == done


async def test_changes_wake_the_reader_of_the_metered_store(metered: Metered) -> None:
    changes = metered.store.changes()
    await anext(changes)
    waiting: Callable[[], Any] = changes.__anext__

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        woken = group.create_task(waiting())
        await metered.store.create(make_task())

    assert woken.done()
