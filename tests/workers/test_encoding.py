"""While one job is encoded, the next one denoises."""

import asyncio
import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from telefuser_grpc.domain.replica import ReplicaState
from telefuser_grpc.errors import OutputInvalid, TaskCancelled
from telefuser_grpc.scheduler.ports import Run
from telefuser_grpc.workers.pool import LocalReplicaPool
from tests.workers.local_pool import SLOW_ENCODER, local_pool, make_job


class Gate:
    """A file that is locked until the gate is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def open(self) -> None:
        self._file.close()


async def test_the_next_job_ends_before_the_encoding_of_the_one_before(gate: Gate) -> None:
    async with local_pool("noop", command=SLOW_ENCODER) as pool:
        slow = await _denoise(pool, "slow", gate=gate)
        other = await _denoise(pool, "other")
        result = asyncio.create_task(slow.result())
        assert not result.done()

        gate.open()
        await result
        await other.result()


async def test_a_replica_that_only_encodes_is_idle(gate: Gate) -> None:
    async with local_pool("noop", command=SLOW_ENCODER) as pool:
        run = await _denoise(pool, "slow", gate=gate)
        (status,) = pool.status()
        gate.open()
        await run.result()

    assert status.state is ReplicaState.IDLE
    assert status.task_id == ""


async def test_a_stop_while_encoding_spares_the_replica(gate: Gate) -> None:
    async with local_pool("noop", command=SLOW_ENCODER) as pool:
        run = await _denoise(pool, "slow", gate=gate)
        await run.stop(0.01)
        with pytest.raises(TaskCancelled):
            await run.result()
        gate.open()

        await (await _denoise(pool, "next")).result()
        assert pool.status()[0].restarts == 0


async def test_the_stop_of_a_job_that_waits_for_the_encoder_is_obeyed(gate: Gate) -> None:
    async with local_pool("noop", command=SLOW_ENCODER) as pool:
        runs = [await _denoise(pool, "slow", gate=gate)]
        runs += [await _denoise(pool, f"waits_{number}") for number in range(2)]
        async with pool.lease() as replica:
            held = await replica.run(make_job("held"))
            await held.stop(10)
            with pytest.raises(TaskCancelled):
                await held.result()

        gate.open()
        for run in runs:
            await run.result()
        assert pool.status()[0].restarts == 0


async def test_a_result_that_is_no_picture_fails_its_run_only(tmp_path: Path) -> None:
    async with local_pool("noop") as pool, pool.lease() as replica:
        run = await replica.run(make_job(folder=tmp_path))
        with pytest.raises(OutputInvalid):
            await run.result()

        assert pool.status()[0].restarts == 0


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.open()


async def _denoise(pool: LocalReplicaPool, task_id: str, *, gate: Gate | None = None) -> Run:
    async with pool.lease() as replica:
        run = await replica.run(make_job(task_id, gate=str(gate.path) if gate else ""))
        async for _ in run.updates():
            pass
    return run
