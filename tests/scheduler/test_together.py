"""How many tasks of one interface run at once."""

import asyncio

from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.scheduler.limits import Limits
from tests.fakes.artifacts import MemoryArtifactStore
from tests.fakes.builders import make_task
from tests.fakes.replicas import FakePool, Script
from tests.fakes.tasks import MemoryTaskStore
from tests.scheduler.house import House

TOGETHER = Limits(queue=8, drain_seconds=0.0, cancel_seconds=0.5, together={"films": 2})


async def submitted(house: House, gate: asyncio.Event, output_name: str) -> Task:
    task = make_task(output_name=output_name)
    house.pool.scripts[task.id] = [Script(gates={1: gate})]
    stored = await house.tasks.create(task)
    house.scheduler.submit(stored)
    return stored


async def test_of_a_bounded_folder_so_many_tasks_run_and_the_next_waits_though_replicas_idle(
    tasks: MemoryTaskStore, artifacts: MemoryArtifactStore
) -> None:
    pool, gate = FakePool(replicas=4), asyncio.Event()
    house = House(tasks=tasks, pool=pool, artifacts=artifacts, limits=TOGETHER)
    async with house.scheduler:
        house.scheduler.open()
        films = [await submitted(house, gate, f"films/{number}.mp4") for number in range(3)]
        other = await submitted(house, gate, "other.mp4")
        for task in (*films[:2], other):
            await pool.started(task.id)

        waiting = (await tasks.get(films[2].id)).state

        gate.set()
        ends = [(await house.ended(task)).state for task in (*films, other)]
    assert waiting is TaskState.PENDING
    assert ends == [TaskState.COMPLETED] * 4


async def test_task_that_waits_for_its_turn_is_cancelled_at_once(
    tasks: MemoryTaskStore, artifacts: MemoryArtifactStore
) -> None:
    pool, gate = FakePool(replicas=4), asyncio.Event()
    house = House(tasks=tasks, pool=pool, artifacts=artifacts, limits=TOGETHER)
    async with house.scheduler:
        house.scheduler.open()
        films = [await submitted(house, gate, f"films/{number}.mp4") for number in range(4)]
        await pool.started(films[1].id)

        cancelled = await house.scheduler.cancel(films[2].id)

        gate.set()
        last = await house.ended(films[3])
    assert cancelled.state is TaskState.CANCELLED
    assert last.state is TaskState.COMPLETED
