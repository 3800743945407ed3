"""Replicas are lent in turn, run what they are sent, and are mended."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from telefuser_grpc.domain.job import Job
from telefuser_grpc.domain.replica import ReplicaState
from telefuser_grpc.domain.task import Preview, Progress
from telefuser_grpc.errors import NoCapacity, PipelineFailed, ReplicaDied, TaskCancelled
from telefuser_grpc.scheduler.ports import ReplicaPool
from telefuser_grpc.workers.pool import LocalReplicaPool
from telefuser_grpc.workers.replica import LocalReplica
from telefuser_grpc.workers.run import LocalRun
from tests.workers.local_pool import local_pool, make_job


async def test_a_job_runs_to_its_file(tmp_path: Path) -> None:
    job = make_job(folder=tmp_path, prompt="a red square")

    async with local_pool("echo") as pool:
        run, updates = await _denoise(pool, job)
        report, files = await run.result()

    assert [each.step for each in updates if isinstance(each, Progress)] == [1, 2, 3, 4]
    assert any(isinstance(each, Preview) for each in updates)
    assert report.inference_seconds > 0
    assert [file.name for file in files] == [job.output_name]
    assert files[0].facts.content_type == "image/png"


async def test_the_pool_is_a_replica_pool() -> None:
    pool: ReplicaPool = local_pool("noop")

    assert [each.state for each in pool.status()] == [ReplicaState.STARTING]


async def test_the_contract_is_the_pipelines() -> None:
    async with local_pool("echo") as pool:
        contract = await pool.contract()

    assert contract.pipeline_name == "echo"
    assert contract.tasks["t2i"].parameters["prompt"].required


async def test_replicas_load_at_the_same_time() -> None:
    async with local_pool("noop", replicas=2) as pool:
        await _until(pool, ReplicaState.STARTING, ReplicaState.STARTING)
        await _until(pool, ReplicaState.IDLE, ReplicaState.IDLE)


async def test_idle_replicas_take_turns() -> None:
    async with local_pool("noop", replicas=2) as pool:
        await _until(pool, ReplicaState.IDLE, ReplicaState.IDLE)
        numbers = []
        for _ in range(4):
            async with pool.lease() as replica:
                numbers.append(replica.id)

    assert numbers[:2] == numbers[2:]
    assert sorted(numbers[:2]) == [0, 1]


async def test_a_finished_replica_goes_to_the_back() -> None:
    async with local_pool("noop", replicas=3) as pool:
        await _until(pool, *[ReplicaState.IDLE] * 3)
        async with AsyncExitStack() as last, AsyncExitStack() as first:
            held = [await last.enter_async_context(pool.lease())]
            held += [await first.enter_async_context(pool.lease()) for _ in range(2)]
            ended_first = [replica.id for replica in reversed(held[1:])]
            await first.aclose()
        numbers = [(await _lease(pool)).id for _ in range(3)]

    assert numbers == [*ended_first, held[0].id]


async def test_those_who_wait_are_served_in_order_but_first_goes_before_all() -> None:
    async with local_pool("noop") as pool, asyncio.TaskGroup() as group:
        served: list[str] = []

        async def wait(name: str, *, first: bool = False) -> None:
            async with pool.lease(first=first):
                served.append(name)

        async with pool.lease():
            group.create_task(wait("a"))
            group.create_task(wait("b"))
            group.create_task(wait("retry", first=True))
            await _turn()
        await _turn()

        assert served == ["retry", "a", "b"]


async def test_a_cancelled_wait_loses_no_replica() -> None:
    async with local_pool("noop") as pool:
        async with pool.lease():
            waiting = asyncio.create_task(_lease(pool))
            await _turn()
        waiting.cancel()  # the replica is its own by now, but it has not been told
        with pytest.raises(asyncio.CancelledError):
            await waiting

        async with asyncio.timeout(5), pool.lease() as replica:
            assert replica.id == 0


async def test_the_status_tells_what_runs() -> None:
    async with local_pool("stalling") as pool, pool.lease() as replica:
        run = await replica.run(make_job("task_7"))
        (busy,) = pool.status()
        await run.stop(5)

    assert busy.state is ReplicaState.BUSY
    assert busy.task_id == "task_7"
    assert busy.pid == replica.pid


async def test_a_stopped_run_leaves_its_replica_alive() -> None:
    async with local_pool("stalling") as pool:
        async with pool.lease() as replica:
            run = await replica.run(make_job("stopped"))
            async with aclosing(run.updates()) as updates:
                await anext(updates)
                await run.stop(10)
                with pytest.raises(TaskCancelled):
                    async for _ in updates:
                        pass
        run, _ = await _denoise(pool, make_job("next", steps=1))
        await run.result()

        (status,) = pool.status()
    assert status.pid == replica.pid
    assert status.restarts == 0


async def test_a_run_that_ignores_a_stop_is_killed_and_its_neighbour_goes_on() -> None:
    async with local_pool("stalling", replicas=2) as pool:
        async with pool.lease() as hanging, pool.lease() as healthy:
            neighbour = await healthy.run(make_job("neighbour"))
            run = await hanging.run(make_job("hanging", prompt="hang"))
            async with aclosing(run.updates()) as updates:
                await anext(updates)
                await run.stop(0.05)
                with pytest.raises(TaskCancelled):
                    await anext(updates)
            async with aclosing(neighbour.updates()) as updates:
                await anext(updates)
            await neighbour.stop(10)

        await _until(pool, ReplicaState.IDLE, ReplicaState.IDLE)
        statuses = pool.status()
    assert statuses[hanging.id].restarts == 1
    assert "did not stop" in statuses[hanging.id].last_error
    assert statuses[healthy.id].restarts == 0


async def test_a_block_left_while_the_run_denoises_stops_the_run() -> None:
    async with local_pool("stalling") as pool:
        async with pool.lease() as replica:
            run = await replica.run(make_job("left"))
        async with pool.lease() as again:
            with pytest.raises(TaskCancelled):
                await run.result()

    assert again is replica


async def test_a_killed_process_ends_its_run_at_once_and_is_replaced() -> None:
    async with local_pool("stalling") as pool:
        async with pool.lease() as replica:
            run = await replica.run(make_job())
            async with aclosing(run.updates()) as updates:
                await anext(updates)
                os.kill(replica.pid, signal.SIGKILL)
                async with asyncio.timeout(2):
                    with pytest.raises(ReplicaDied, match="SIGKILL"):
                        async for _ in updates:
                            pass
            with pytest.raises(ReplicaDied):
                await replica.run(make_job("too late"))

        async with pool.lease() as other:
            assert other.pid != replica.pid
        (status,) = pool.status()
    assert status.restarts == 1
    assert (
        status.last_error
        == "Replica 0 was killed by SIGKILL, as a system does whose memory runs out"
    )


async def test_a_process_that_dies_idle_is_replaced() -> None:
    async with local_pool("noop") as pool:
        dead = await _kill_idle(pool)

        assert (await _lease(pool)).pid != dead.pid


async def test_pauses_grow_until_a_replica_was_of_use() -> None:
    async with local_pool("crashing") as pool:
        for pause in (0.2, 0.4):
            await _kill_idle(pool)
            assert pool._seats[0]._pause_seconds == pause

        await _finish(pool, make_job())
        await _kill_idle(pool)
        assert pool._seats[0]._pause_seconds == 0.2


@pytest.mark.parametrize(
    ("prompt", "message"),
    [("raise", "ValueError: a fault of the pipeline"), ("device", "device-side assert")],
)
async def test_a_fault_of_the_pipeline_fails_its_run(prompt: str, message: str) -> None:
    async with local_pool("crashing") as pool:
        with pytest.raises(PipelineFailed, match=message):
            await _denoise(pool, make_job(prompt=prompt))

        run, _ = await _denoise(pool, make_job("next"))
        await run.result()
        (status,) = pool.status()
    assert status.restarts == (1 if prompt == "device" else 0)


async def test_a_pipeline_that_never_loads_loses_the_pool() -> None:
    async with local_pool("broken") as pool:
        waiting = asyncio.create_task(_lease(pool))
        with pytest.raises(NoCapacity):
            await pool.contract()
        with pytest.raises(NoCapacity):
            await waiting
        with pytest.raises(NoCapacity):
            await _lease(pool)

        (status,) = pool.status()
    assert pool.is_lost
    assert status.state is ReplicaState.DEAD
    assert "the weights are missing" in status.last_error
    assert status.restarts == 0


async def test_a_pipeline_that_loads_too_slowly_is_given_up() -> None:
    async with local_pool("noop", start_timeout_seconds=0.001) as pool:
        with pytest.raises(NoCapacity):
            await pool.contract()

        assert "did not load its pipeline within 0.001 s" in pool.status()[0].last_error


async def _lease(pool: LocalReplicaPool) -> LocalReplica:
    async with pool.lease() as replica:
        return replica


async def _kill_idle(pool: LocalReplicaPool) -> LocalReplica:
    """Kills the idle replica and returns when its successor has been started."""
    replica = await _lease(pool)
    restarts = pool.status()[0].restarts
    os.kill(replica.pid, signal.SIGKILL)
    async with asyncio.timeout(30), aclosing(pool.changes()) as changes:
        async for _ in changes:
            if pool.status()[0].restarts > restarts:
                return replica
    raise AssertionError


async def _denoise(pool: LocalReplicaPool, job: Job) -> tuple[LocalRun, list[Progress | Preview]]:
    async with pool.lease() as replica:
        run = await replica.run(job)
        return run, [update async for update in run.updates()]


async def _finish(pool: LocalReplicaPool, job: Job) -> None:
    run, _ = await _denoise(pool, job)
    await run.result()


async def _until(pool: LocalReplicaPool, *states: ReplicaState) -> None:
    """Waits until the replicas have these states, by number."""
    async with asyncio.timeout(30), aclosing(pool.changes()) as changes:
        async for _ in changes:
            if tuple(each.state for each in pool.status()) == states:
                return


async def _turn() -> None:
    """Lets every task that can go on do so."""
    for _ in range(3):
        await asyncio.sleep(0)
