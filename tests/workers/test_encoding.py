"""While one job is encoded, the next one denoises."""

import asyncio
import os
from pathlib import Path

import pytest

from telefuser_grpc.domain.replica import ReplicaState
from telefuser_grpc.errors import OutputInvalid, TaskCancelled
from telefuser_grpc.scheduler.ports import Run
from telefuser_grpc.workers.pool import LocalReplicaPool
from tests.workers.local_pool import SLOW_ENCODER, local_pool, make_job


async def test_the_next_job_ends_before_the_encoding_of_the_one_before(gate: Path) -> None:
    async with local_pool("noop", command=SLOW_ENCODER) as pool:
        slow = await _denoise(pool, "slow", gate=gate)
        other = await _denoise(pool, "other")
        result = asyncio.create_task(slow.result())
        assert not result.done()

        await _open(gate)
        await result
        await other.result()


async def test_a_replica_that_only_encodes_is_idle(gate: Path) -> None:
    async with local_pool("noop", command=SLOW_ENCODER) as pool:
        run = await _denoise(pool, "slow", gate=gate)
        (status,) = pool.status()
        await _open(gate)
        await run.result()

    assert status.state is ReplicaState.IDLE
    assert status.task_id == ""


async def test_a_stop_while_encoding_spares_the_replica(gate: Path) -> None:
    async with local_pool("noop", command=SLOW_ENCODER) as pool:
        run = await _denoise(pool, "slow", gate=gate)
        await run.stop(0.01)
        with pytest.raises(TaskCancelled):
            await run.result()
        await _open(gate)

        await (await _denoise(pool, "next")).result()
        assert pool.status()[0].restarts == 0


async def test_the_stop_of_a_job_that_waits_for_the_encoder_is_obeyed(gate: Path) -> None:
    async with local_pool("noop", command=SLOW_ENCODER) as pool:
        runs = [await _denoise(pool, "slow", gate=gate)]
        runs += [await _denoise(pool, f"waits_{number}") for number in range(2)]
        async with pool.lease() as replica:
            held = await replica.run(make_job("held"))
            await held.stop(10)
            with pytest.raises(TaskCancelled):
                await held.result()

        await _open(gate)
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
def gate(tmp_path: Path) -> Path:
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


async def _denoise(pool: LocalReplicaPool, task_id: str, *, gate: Path | None = None) -> Run:
    async with pool.lease() as replica:
        run = await replica.run(make_job(task_id, gate=str(gate) if gate else ""))
        async for _ in run.updates():
            pass
    return run


async def _open(gate: Path) -> None:
    await asyncio.to_thread(gate.write_text, "go")
