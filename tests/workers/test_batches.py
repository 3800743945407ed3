"""A replica makes several jobs together, and each ends as if it had been alone."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from telefuser_grpc.domain.job import Job, RunReport
from telefuser_grpc.domain.replica import ReplicaState
from telefuser_grpc.domain.task import Progress
from telefuser_grpc.errors import PipelineFailed, ReplicaDied, TaskCancelled
from telefuser_grpc.scheduler.ports import Run
from telefuser_grpc.workers.pool import LocalReplicaPool
from telefuser_grpc.workers.run import LocalRun
from tests.end_to_end.gates import Gate
from tests.workers.local_pool import local_pool, make_job

pytest.importorskip("torch")

pytestmark = pytest.mark.asyncio(loop_scope="module")  # the tests share one replica

SEEDS = (5, 6, 7)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[LocalReplicaPool]:
    async with local_pool("batching") as pool:
        yield pool


class Studio:
    """Makes jobs, each with a folder and an id of its own."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def job(self, key: str, **fields: Any) -> Job:
        folder = self._root / key
        folder.mkdir()
        fields = {"prompt": "", "steps": 3, "seed": 0} | fields
        return make_job(f"{self._root.name}_{key}", folder=folder, **fields)

    async def picture(self, run: Run) -> Any:
        _, (file,) = await run.result()
        return np.asarray(Image.open(file.path), dtype=int)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with Gate(tmp_path / "gate") as gate:
        yield gate


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


async def steps(run: Run) -> list[tuple[int, int]]:
    """Follows a run to its frames and returns the steps that were told."""
    return [(each.step, each.steps) async for each in run.updates() if isinstance(each, Progress)]


async def test_each_picture_is_what_its_seed_makes_alone(
    pool: LocalReplicaPool, studio: Studio
) -> None:
    async with pool.lease() as replica:
        alone = []
        for seed in SEEDS:
            run = await replica.run(studio.job(f"alone{seed}", seed=seed))
            await steps(run)
            alone.append(await studio.picture(run))

        runs = await replica.run_batch([studio.job(f"{seed}", seed=seed) for seed in SEEDS])
        told = [await steps(run) for run in runs]
        together = [await studio.picture(run) for run in runs]

    assert [run.batch_size for run in runs] == [3, 3, 3]
    assert told == [[(1, 3), (2, 3), (3, 3)]] * 3
    for one, other in zip(alone, together, strict=True):
        assert abs(one - other).max() <= 1
    assert abs(together[0] - together[1]).mean() > 20


async def test_a_replica_is_busy_until_the_last_of_a_batch_has_its_frames(
    pool: LocalReplicaPool, studio: Studio, gate: Gate
) -> None:
    async with pool.lease() as replica:
        jobs = [studio.job("a", gate=str(gate)), studio.job("b")]
        runs = await replica.run_batch(jobs)
        await asyncio.to_thread(gate.wait_for_visitor)
        (busy,) = pool.status()
        await runs[1].stop(10)
        (still_busy,) = pool.status()
        gate.open()
        await steps(runs[0])
        (idle,) = pool.status()

    first = jobs[0].task_id
    assert [each.task_id for each in (busy, still_busy, idle)] == [first, first, ""]
    assert still_busy.state is ReplicaState.BUSY


async def test_a_member_that_is_stopped_ends_at_once_while_the_others_run_on(
    pool: LocalReplicaPool, studio: Studio, gate: Gate
) -> None:
    async with pool.lease() as replica:
        jobs = [studio.job("a", seed=1), studio.job("b", seed=2, gate=str(gate))]
        runs = await replica.run_batch(jobs)
        await asyncio.to_thread(gate.wait_for_visitor)
        await runs[1].stop(10)
        with pytest.raises(TaskCancelled):
            await steps(runs[1])
        gate.open()
        told = await steps(runs[0])
        await studio.picture(runs[0])

    assert told == [(1, 3), (2, 3), (3, 3)]
    assert pool.status()[0].restarts == 0


async def test_a_member_that_fails_fails_alone_and_the_others_are_drawn_one_by_one(
    pool: LocalReplicaPool, studio: Studio
) -> None:
    async with pool.lease() as replica:
        jobs = [studio.job("a"), studio.job("b", prompt="raise"), studio.job("c", seed=1)]
        runs = await replica.run_batch(jobs)
        with pytest.raises(PipelineFailed, match="ValueError: cannot draw that"):
            await steps(runs[1])
        told = [await steps(runs[0]), await steps(runs[2])]
        pictures = [await studio.picture(runs[0]), await studio.picture(runs[2])]

    assert told == [[(1, 3), (0, 0), (1, 3), (2, 3), (3, 3)]] * 2
    assert [runs[0].batch_size, runs[2].batch_size] == [1, 1]
    assert abs(pictures[0] - pictures[1]).mean() > 20


async def test_a_batch_that_needs_too_much_memory_is_drawn_one_by_one(
    pool: LocalReplicaPool, studio: Studio
) -> None:
    async with pool.lease() as replica:
        runs = await replica.run_batch([studio.job(each, prompt="together") for each in "ab"])
        for run in runs:
            await steps(run)
            await run.result()

    assert [run.batch_size for run in runs] == [1, 1]


async def test_a_job_that_cannot_be_sent_fails_alone(
    pool: LocalReplicaPool, studio: Studio
) -> None:
    async with pool.lease() as replica:
        runs = await replica.run_batch([studio.job("a"), studio.job("b", name="\ud800")])
        with pytest.raises(PipelineFailed, match="no text"):
            await steps(runs[1])
        await steps(runs[0])
        await runs[0].result()


async def test_the_denoising_stops_when_all_are_stopped(
    pool: LocalReplicaPool, studio: Studio, gate: Gate
) -> None:
    async with pool.lease() as replica:
        jobs = [studio.job("a", gate=str(gate), steps=10_000), studio.job("b", steps=10_000)]
        runs = await replica.run_batch(jobs)
        await asyncio.to_thread(gate.wait_for_visitor)
        stops = [asyncio.create_task(run.stop(10)) for run in runs]
        await runs[0].ended()
        gate.open()
        await asyncio.gather(*stops)
        for run in runs:
            with pytest.raises(TaskCancelled):
                await steps(run)

    assert pool.status()[0].restarts == 0


async def test_a_member_whose_stop_takes_long_costs_the_others_nothing(
    pool: LocalReplicaPool, studio: Studio, gate: Gate
) -> None:
    async with pool.lease() as replica:
        runs = await replica.run_batch([studio.job("a", gate=str(gate)), studio.job("b")])
        await asyncio.to_thread(gate.wait_for_visitor)
        os.kill(replica.pid, signal.SIGSTOP)
        await asyncio.to_thread(os.waitid, os.P_PID, replica.pid, os.WSTOPPED | os.WNOWAIT)
        stop = asyncio.create_task(runs[1].stop(0.01))
        has_stopped, _ = await asyncio.wait([stop], timeout=0.1)
        os.kill(replica.pid, signal.SIGCONT)
        await stop
        gate.open()
        await steps(runs[0])

    assert not has_stopped
    assert pool.status()[0].restarts == 0


async def test_a_run_is_never_of_less_than_one() -> None:
    async def halt(run: LocalRun, grace_seconds: float) -> None:
        return None

    run = LocalRun(make_job(), halt)

    run.render(RunReport(inference_seconds=1.0, batch_size=0))

    assert run.batch_size == 1


async def test_the_death_of_the_replica_ends_every_member(
    pool: LocalReplicaPool, studio: Studio, gate: Gate
) -> None:
    async with pool.lease() as replica:
        runs = await replica.run_batch([studio.job("a", gate=str(gate)), studio.job("b")])
        await asyncio.to_thread(gate.wait_for_visitor)
        os.kill(replica.pid, signal.SIGKILL)
        for run in runs:
            with pytest.raises(ReplicaDied):
                await steps(run)
        gate.open()
