"""Tasks that can be made together share a lease, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import PipelineFailed, StorageFull
from telefuser_grpc.scheduler.batch_sizes import BatchSizes
from tests.fakes.artifacts import MemoryArtifactStore
from tests.fakes.replicas import FakePool, Script
from tests.fakes.tasks import MemoryTaskStore
from tests.scheduler.house import LIMITS, House

COMPLETED = TaskState.COMPLETED
CONTRACT = PipelineContract.parse(
    {
        "supported_tasks": ["t2v", "t2i"],
        "task_contracts": {"t2v": {"batch": {"keys": ["num_inference_steps"], "max_size": 4}}},
    },
    stem="batches",
)
STEPS_4, STEPS_8 = {"num_inference_steps": 4}, {"num_inference_steps": 8}


class Greedy(BatchSizes):
    """Takes as many as may be taken, and keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, int]] = []
        self.settled: list[int] = []

    def choose(self, shape: str, *, waiting: int, limit: int) -> int:
        return min(waiting, limit)

    def settle(self, shape: str, chosen: int) -> None:
        self.settled.append(chosen)

    def learn(self, shape: str, size: int, seconds: float) -> None:
        self.told.append(("learn", size))

    def fail(self, shape: str, size: int, seconds: float, *, made: int) -> None:
        self.told.append((f"fail, {made} made", size))


class BusyHouse(House):
    """A house whose only replica is busy with a task, until `open` is set."""

    def __init__(self, sizes: Greedy, **parts: Any) -> None:
        super().__init__(**parts)
        self.sizes = sizes
        self.gate = asyncio.Event()
        self.scheduler._world.batches._sizes = sizes

    async def occupy(self) -> None:
        await self.submit(Script(gates={1: self.gate}), task_id="first", kind="t2i")
        await self.pool.started("first")

    async def line_up(self, *names: str, script: Script | None = None, **changes: Any) -> None:
        for name in names:
            await self.submit(*([script] if script else []), task_id=name, **changes)

    async def ends(self, *names: str) -> list[TaskState]:
        """Frees the replica and returns how these tasks end."""
        self.gate.set()
        return [(await self.ended(await self.tasks.get(name))).state for name in names]

    async def task(self, name: str) -> Task:
        return await self.tasks.get(name)


Build = Callable[..., AbstractAsyncContextManager[BusyHouse]]


@pytest.fixture
def build(tasks: MemoryTaskStore, artifacts: MemoryArtifactStore) -> Build:
    @asynccontextmanager
    async def build(*, replicas: int = 1, **limits: Any) -> AsyncIterator[BusyHouse]:
        pool = FakePool(replicas=replicas, contract=CONTRACT)
        changed = replace(LIMITS, queue=20, **limits)
        house = BusyHouse(Greedy(), tasks=tasks, pool=pool, artifacts=artifacts, limits=changed)
        async with house.scheduler:
            house.scheduler.open()
            await house.occupy()
            yield house

    return build


async def test_waiting_tasks_of_one_shape_share_a_lease_in_their_order(build: Build) -> None:
    async with build() as house:
        await house.line_up("a", "b", "c", "d", "e")

        ends = await house.ends("a", "b", "c", "d", "e")

    assert ends == [COMPLETED] * 5
    assert house.pool.batches == [["first"], ["a", "b", "c", "d"], ["e"]]
    assert house.sizes.told == [("learn", 4), ("learn", 1)]
    assert house.sizes.settled == [4, 1]


async def test_nobody_waits_for_companions(build: Build) -> None:
    async with build(replicas=2) as house:
        await house.line_up("a")

        assert await house.pool.started("a")
        await house.ends("first")


async def test_what_does_not_fit_is_neither_taken_nor_overtaken_but_by_companions(
    build: Build,
) -> None:
    async with build() as house:
        await house.line_up("a1", fields=STEPS_4)
        await house.line_up("b1", fields=STEPS_8)
        await house.line_up("picture", kind="t2i")
        await house.line_up("with_input", fields=STEPS_4, inputs={"first_image_path": "a.png"})
        await house.line_up("a2", fields=STEPS_4 | {"seed": 7})
        await house.line_up("b2", fields=STEPS_8)

        await house.ends("b2", "with_input")

    assert house.pool.batches[1:] == [["a1", "a2"], ["b1", "b2"], ["picture"], ["with_input"]]


async def test_a_member_that_fails_fails_alone(build: Build) -> None:
    async with build() as house:
        await house.line_up("a", "c")
        await house.line_up("b", script=Script(error=PipelineFailed("no"), is_made_alone=True))

        ends = await house.ends("a", "b", "c")

    assert ends == [COMPLETED, TaskState.FAILED, COMPLETED]
    assert house.pool.batches[1:] == [["a", "c", "b"]]


async def test_a_member_that_is_cancelled_is_stopped_alone(build: Build) -> None:
    middle = asyncio.Event()
    async with build() as house:
        await house.line_up("a", "b", script=Script(gates={2: middle}))
        house.gate.set()
        run = await house.pool.started("b")

        await house.reached(await house.task("b"), TaskState.PROCESSING)
        await house.scheduler.cancel("b")
        stopped = await house.ended(await house.task("b"))
        middle.set()
        (other,) = await house.ends("a")

    assert (stopped.state, other) == (TaskState.CANCELLED, COMPLETED)
    assert run.stops == [0.5]
    assert house.pool.runs_of("a")[0].stops == []


async def test_the_lease_lasts_until_the_last_member_has_its_frames(build: Build) -> None:
    late = asyncio.Event()
    async with build() as house:
        await house.line_up("a")
        await house.line_up("b", script=Script(gates={2: late}))
        await house.line_up("next", fields=STEPS_8)
        (first_end,) = await house.ends("a")

        waiting = (await house.task("next")).state
        late.set()
        ends = await house.ends("b", "next")

    assert (first_end, waiting, ends) == (COMPLETED, TaskState.PENDING, [COMPLETED] * 2)
    assert house.pool.batches[1:] == [["a", "b"], ["next"]]


async def test_after_the_death_of_the_replica_every_member_is_tried_alone(build: Build) -> None:
    async with build() as house:
        await house.line_up("a", "b", script=Script(hangs_after=3))
        await house.line_up("deadly", script=Script(dies_after=2))

        ends = await house.ends("a", "b", "deadly")
        crashes = [(await house.task(name)).crashes for name in ("a", "b", "deadly")]

    assert (ends, crashes) == ([COMPLETED] * 3, [1, 1, 1])
    assert house.pool.batches[1] == ["a", "b", "deadly"]
    assert sorted(house.pool.batches[2:]) == [["a"], ["b"], ["deadly"]]
    assert house.sizes.told == [("fail, 0 made", 3)]


async def test_where_a_task_has_one_attempt_it_has_it_for_itself(build: Build) -> None:
    async with build(attempts=1) as house:
        await house.line_up("a", "b")

        await house.ends("a", "b")

    assert house.pool.batches[1:] == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("size", "batches"),
    [(1, [["a"], ["b"], ["c"]]), (2, [["a", "b"], ["c"]]), (9, [["a", "b", "c"]])],
)
async def test_the_operator_may_bound_the_batches(
    build: Build, size: int, batches: list[list[str]]
) -> None:
    async with build(batch_size=size) as house:
        await house.line_up("a", "b", "c")

        await house.ends("a", "b", "c")

    assert house.pool.batches[1:] == batches


async def test_of_a_bounded_folder_no_more_are_made_together(build: Build) -> None:
    async with build(together={"films": 2}) as house:
        for name in ("a", "b", "c"):
            await house.line_up(name, output_name=f"films/{name}.mp4")

        await house.ends("a", "b", "c")

    assert house.pool.batches[1:] == [["a", "b"], ["c"]]


async def test_a_task_that_is_cancelled_while_it_waits_is_not_taken_along(build: Build) -> None:
    async with build() as house:
        await house.line_up("a", "b", "c")
        await house.scheduler.cancel("b")

        ends = await house.ends("a", "b", "c")

    assert ends == [COMPLETED, TaskState.CANCELLED, COMPLETED]
    assert house.pool.batches[1:] == [["a", "c"]]


@pytest.mark.parametrize("name", ["a", "b", "c"])
async def test_a_member_that_cannot_begin_does_not_hold_up_the_others(
    build: Build, artifacts: MemoryArtifactStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    prepare = artifacts.prepare

    async def full(task_id: str, attempt: int) -> str:
        if task_id == name:
            raise StorageFull
        return await prepare(task_id, attempt)

    monkeypatch.setattr(artifacts, "prepare", full)
    async with build() as house:
        await house.line_up("a", "b", "c")

        ends = dict(zip("abc", await house.ends("a", "b", "c"), strict=True))

    assert ends.pop(name) is TaskState.FAILED
    assert set(ends.values()) == {COMPLETED}
    assert house.pool.batches[1:] == [list(ends)]


async def test_a_stop_lets_every_member_wait_for_the_next_server(
    build: Build, tasks: MemoryTaskStore
) -> None:
    async with build() as house:
        await house.line_up("a", "b", script=Script(hangs_after=1))
        house.gate.set()
        for name in ("a", "b"):
            await house.reached(await house.task(name), TaskState.PROCESSING)

    left = [await tasks.get(name) for name in ("a", "b")]
    assert [(each.state, each.crashes) for each in left] == [(TaskState.PENDING, 0)] * 2


FALLS_APART = Script(is_made_alone=True)
GUILTY = Script(is_made_alone=True, error=PipelineFailed("no"))


@pytest.mark.parametrize(
    ("scripts", "told"),
    [
        ([FALLS_APART, FALLS_APART], [("fail, 2 made", 2)]),
        ([FALLS_APART, GUILTY], []),
        ([GUILTY, GUILTY], []),
    ],
)
async def test_a_batch_that_falls_apart_speaks_against_its_size_unless_a_task_is_guilty(
    build: Build, scripts: list[Script], told: list[tuple[str, int]]
) -> None:
    async with build() as house:
        for name, script in zip("ab", scripts, strict=True):
            await house.line_up(name, script=script)

        await house.ends("a", "b")

    assert house.sizes.told == told
    assert house.sizes.settled == [2]


async def test_a_batch_that_stalls_fails_its_members_and_speaks_against_its_size(
    build: Build,
) -> None:
    async with build(stall_seconds=0.02) as house:
        await house.line_up("a", "b", script=Script(hangs_after=1))

        ends = await house.ends("a", "b")

    assert ends == [TaskState.FAILED] * 2
    assert house.sizes.told == [("fail, 0 made", 2)]


async def test_a_lost_pool_fails_all_who_wait(build: Build) -> None:
    async with build() as house:
        house.pool.respawns = False
        await house.line_up("a", "b")

        house.pool.replicas[0].die()
        ends = await house.ends("a", "b")

    assert ends == [TaskState.FAILED] * 2


async def test_what_pays_is_found_while_tasks_run(
    tasks: MemoryTaskStore, artifacts: MemoryArtifactStore
) -> None:
    pool, gate = FakePool(contract=CONTRACT), asyncio.Event()
    limits = replace(LIMITS, queue=50)
    house = House(tasks=tasks, pool=pool, artifacts=artifacts, limits=limits)
    times = iter(range(1000))
    house.scheduler._world.batches._clock = lambda: float(next(times))  # every order takes 1 s
    async with house.scheduler:
        house.scheduler.open()
        await house.submit(Script(gates={1: gate}), task_id="first")
        await pool.started("first")
        waiting = [await house.submit() for _ in range(15)]
        gate.set()
        for task in waiting:
            await house.ended(task)

    assert list(map(len, pool.batches)) == [1, 1, 2, 4, 4, 4]


async def test_tasks_of_all_kinds_that_wait_for_the_pipeline_keep_their_order(
    tasks: MemoryTaskStore, artifacts: MemoryArtifactStore
) -> None:
    pool = FakePool(contract=CONTRACT)
    house = House(tasks=tasks, pool=pool, artifacts=artifacts)
    async with house.scheduler:
        for name, kind in (("a", "t2v"), ("b", "t2i"), ("c", "t2v"), ("d", "t2i")):
            await house.submit(task_id=name, kind=kind)
        house.scheduler.open()
        for name in "abcd":
            await house.ended(await tasks.get(name))

    assert pool.batches == [["a"], ["b"], ["c"], ["d"]]


CHANCES = (
    *[Script()] * 6,
    Script(error=PipelineFailed("no"), is_made_alone=True),
    Script(dies_after=1),
    Script(hangs_after=2),
    Script(hangs_after=0, ignores_stop=True),
)


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_happens_every_task_ends_and_every_replica_comes_back(
    tasks: MemoryTaskStore, artifacts: MemoryArtifactStore, seed: int
) -> None:
    chance = Random(seed)
    pool = FakePool(replicas=2, contract=CONTRACT)
    limits = replace(LIMITS, queue=99, stall_seconds=0.01, task_seconds=0.05, cancel_seconds=0.01)
    house = House(tasks=tasks, pool=pool, artifacts=artifacts, limits=limits)
    house.scheduler._world.batches._sizes = Greedy()
    async with house.scheduler:
        house.scheduler.open()
        submitted: list[Task] = []
        for _ in range(40):
            fields = chance.choice((STEPS_4, STEPS_8))
            script = chance.choice(CHANCES)
            submitted.append(await house.submit(script, fields=fields))
            for _ in range(chance.randrange(9)):
                await asyncio.sleep(0)
            if chance.random() < 0.4:
                await house.scheduler.cancel(chance.choice(submitted).id)
        ends = {(await house.ended(task)).state for task in submitted}

    assert ends <= {COMPLETED, TaskState.FAILED, TaskState.CANCELLED}
    assert sorted(replica.id for replica in pool._idle) == [0, 1]
    assert not any(turn for turn in pool._waiting if not turn.done())
    assert house.scheduler._world.batches._lines == {}
    assert max(map(len, pool.batches)) > 1
