"""Tasks that an interface keeps for a fixed time only."""

import asyncio
from datetime import datetime, timedelta

import pytest

from telefuser_grpc.domain.task import Task
from telefuser_grpc.errors import TaskNotFound
from telefuser_grpc.scheduler import expiry
from telefuser_grpc.scheduler.expiry import Expiry
from tests.fakes.artifacts import MemoryArtifactStore
from tests.fakes.builders import NOW, ended, make_task, started
from tests.fakes.tasks import MemoryTaskStore
from tests.scheduler.house import House

HOUR = 3600.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(house: House, clock: Clock) -> Expiry:
    return Expiry(
        tasks=house.tasks,
        scheduler=house.scheduler,
        belongs=lambda task: task.output_name.startswith("films/"),
        seconds=HOUR,
        clock=clock,
    )


async def stored(tasks: MemoryTaskStore, output_name: str = "films/a.mp4") -> Task:
    """Stores a task that has ended two seconds after now."""
    task = await tasks.create(make_task(output_name=output_name))
    return await tasks.save(ended(await tasks.save(started(task))))


async def is_there(tasks: MemoryTaskStore, task: Task) -> bool:
    try:
        await tasks.get(task.id)
    except TaskNotFound:
        return False
    return True


async def test_task_is_removed_with_its_files_when_its_time_is_over(
    house: House, keeper: Expiry, clock: Clock, artifacts: MemoryArtifactStore
) -> None:
    task = await stored(house.tasks)
    keeper.watch(task.id)

    clock.move(HOUR)
    await keeper.remove_due()
    before = await is_there(house.tasks, task)
    clock.move(2)
    await keeper.remove_due()

    assert (before, await is_there(house.tasks, task)) == (True, False)
    assert artifacts.deleted == [task.id]


async def test_task_that_still_runs_is_kept_and_looked_at_again(
    house: House, keeper: Expiry, clock: Clock
) -> None:
    task = await house.tasks.create(make_task(output_name="films/a.mp4"))
    running = await house.tasks.save(started(task))
    keeper.watch(task.id)

    clock.move(2 * HOUR)
    await keeper.remove_due()
    await house.tasks.save(ended(running))
    clock.move(HOUR)
    await keeper.remove_due()

    assert not await is_there(house.tasks, task)


async def test_what_an_earlier_server_has_left_is_found_and_others_are_left_alone(
    house: House, keeper: Expiry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "PAGE_SIZE", 2)
    films = [await stored(house.tasks, f"films/{number}.mp4") for number in range(3)]
    others = [await stored(house.tasks, name) for name in ("a.mp4", "other/films/a.mp4")]
    clock.move(2 * HOUR)

    async with keeper:
        while any([await is_there(house.tasks, each) for each in films]):
            await house.tasks.changed()

    assert all([await is_there(house.tasks, each) for each in others])


async def test_expiry_comes_by_itself(house: House) -> None:
    keeper = Expiry(
        tasks=house.tasks, scheduler=house.scheduler, belongs=lambda task: True, seconds=0.0
    )
    async with keeper:
        task = await house.submit()
        await house.ended(task)
        keeper.watch(task.id)

        async with asyncio.timeout(10):
            while await is_there(house.tasks, task):
                await house.tasks.changed()


async def test_task_that_somebody_else_removed_is_no_fault(
    house: House, keeper: Expiry, clock: Clock
) -> None:
    gone, task = await stored(house.tasks), await stored(house.tasks)
    for each in (gone, task):
        keeper.watch(each.id)
    await house.tasks.delete(gone.id)

    clock.move(2 * HOUR)
    await keeper.remove_due()

    assert not await is_there(house.tasks, task)


async def test_task_that_cannot_be_removed_now_is_removed_later(
    house: House, keeper: Expiry, clock: Clock
) -> None:
    task = await stored(house.tasks)
    keeper.watch(task.id)
    house.tasks.full = True
    clock.move(2 * HOUR)

    await keeper.remove_due()
    house.tasks.full = False
    clock.move(60)
    await keeper.remove_due()

    assert not await is_there(house.tasks, task)
