"""The life of a task, on replicas that follow a script."""

import asyncio
from contextlib import ExitStack

import pytest

from telefuser_grpc.domain.task import Progress, TaskState
from telefuser_grpc.errors import (
    NoCapacity,
    OutputInvalid,
    PipelineFailed,
    QueueFull,
    ShuttingDown,
    StorageFull,
    TaskNotEnded,
    TaskNotFound,
)
from telefuser_grpc.scheduler.limits import Limits, NoCapacityPolicy
from tests.fakes.artifacts import MemoryArtifactStore
from tests.fakes.builders import make_task, started
from tests.fakes.replicas import FakePool, Script
from tests.fakes.tasks import MemoryTaskStore
from tests.scheduler.house import House

PENDING, PROCESSING = TaskState.PENDING, TaskState.PROCESSING
CANCELLING, CANCELLED = TaskState.CANCELLING, TaskState.CANCELLED
COMPLETED, FAILED = TaskState.COMPLETED, TaskState.FAILED
PATIENT = Limits(drain_seconds=0.0, no_capacity=NoCapacityPolicy.WAIT)


async def test_a_task_completes_with_its_artifact(house: House) -> None:
    task = await house.submit()

    ended = await house.ended(task)

    assert ended.state is COMPLETED
    assert [each.name for each in ended.artifacts] == [task.output_name]
    assert ended.inference_seconds == 1.0
    assert await house.states(task) == [PENDING, PROCESSING, COMPLETED]


async def test_every_step_becomes_an_event(house: House) -> None:
    task = await house.submit(Script(steps=3))

    events = [event async for event in house.tasks.watch(task.id)]

    steps = [event.change.step for event in events if isinstance(event.change, Progress)]
    assert steps == [1, 2, 3]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))


async def test_tasks_run_in_the_order_of_their_submission(house: House) -> None:
    tasks = [await house.submit() for _ in range(3)]

    for task in tasks:
        await house.ended(task)

    assert [run.job.task_id for run in house.pool.runs] == [task.id for task in tasks]


async def test_the_next_task_runs_while_the_last_one_is_encoded(house: House) -> None:
    encoded = asyncio.Event()
    first = await house.submit(Script(encode_gate=encoded))

    second = await house.ended(await house.submit())

    assert second.state is COMPLETED
    assert (await house.tasks.get(first.id)).state is PROCESSING
    encoded.set()
    assert (await house.ended(first)).state is COMPLETED


async def test_cancel_while_pending_frees_no_replica(house: House) -> None:
    running = await house.submit(Script(hangs_after=1))
    await house.pool.started(running.id)
    waiting = await house.submit()

    cancelled = await house.scheduler.cancel(waiting.id)

    assert cancelled.state is CANCELLED
    assert house.pool.runs_of(waiting.id) == []
    assert (await house.tasks.get(running.id)).state is PROCESSING


async def test_cancel_while_running_ends_only_when_the_run_has_stopped(house: House) -> None:
    task = await house.submit(Script(hangs_after=1))
    run = await house.pool.started(task.id)

    answer = await house.scheduler.cancel(task.id)
    ended = await house.ended(task)

    assert answer.state is CANCELLING
    assert run.stops == [0.5]
    assert ended.state is CANCELLED
    assert ended.error is not None
    assert ended.error.reason == "CANCELLED"


async def test_a_replica_that_ignores_the_cancel_is_killed_and_the_task_not_retried(
    house: House,
) -> None:
    task = await house.submit(Script(hangs_after=1, ignores_stop=True))
    await house.pool.started(task.id)

    await house.scheduler.cancel(task.id)
    ended = await house.ended(task)

    assert ended.state is CANCELLED
    assert len(house.pool.runs_of(task.id)) == 1
    assert house.pool.replicas[0].restarts == 1


async def test_cancel_during_encoding_makes_no_completed_task(house: House) -> None:
    encoded = asyncio.Event()
    task = await house.submit(Script(encode_gate=encoded))
    await house.ended(await house.submit())

    await house.scheduler.cancel(task.id)
    encoded.set()

    assert (await house.ended(task)).state is CANCELLED


async def test_cancel_of_an_ended_task_changes_nothing(house: House) -> None:
    task = await house.submit()
    ended = await house.ended(task)

    assert await house.scheduler.cancel(task.id) == ended


async def test_cancel_of_an_unknown_task_is_refused(house: House) -> None:
    with pytest.raises(TaskNotFound):
        await house.scheduler.cancel("task_unknown")


async def test_a_task_whose_replica_dies_runs_again_as_the_next_attempt(house: House) -> None:
    task = await house.submit(Script(dies_after=2), Script())

    ended = await house.ended(task)

    assert ended.state is COMPLETED
    assert ended.attempt == 2
    assert await house.states(task) == [PENDING, PROCESSING, PENDING, PROCESSING, COMPLETED]


async def test_a_task_that_lost_its_replica_goes_before_those_that_wait(
    tasks: MemoryTaskStore, artifacts: MemoryArtifactStore
) -> None:
    house = House(tasks=tasks, pool=FakePool(replicas=2, respawns=False), artifacts=artifacts)
    death, release = asyncio.Event(), asyncio.Event()
    async with house.scheduler:
        house.scheduler.open()
        other = await house.submit(Script(gates={1: release}))
        unlucky = await house.submit(Script(gates={1: death}, dies_after=1), Script())
        await house.pool.started(unlucky.id)
        waiting = await house.submit()

        death.set()
        await house.reached(unlucky, PENDING, times=2)
        release.set()
        for task in (other, unlucky, waiting):
            await house.ended(task)

    order = [run.job.task_id for run in house.pool.runs]
    assert order == [other.id, unlucky.id, unlucky.id, waiting.id]


async def test_a_task_that_kills_every_replica_fails_with_the_cause(house: House) -> None:
    task = await house.submit(Script(dies_after=1), Script(dies_after=1))

    ended = await house.ended(task)

    assert ended.state is FAILED
    assert ended.error is not None
    assert ended.error.reason == "REPLICA_DIED"
    assert "2 attempts" in ended.error.message


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(error=PipelineFailed("ValueError: no")), "PIPELINE_FAILED"),
        (Script(encode_error=OutputInvalid("no file")), "OUTPUT_INVALID"),
    ],
)
async def test_a_failing_run_fails_its_task_and_the_replica_runs_the_next(
    house: House, script: Script, reason: str
) -> None:
    task = await house.submit(script)

    ended = await house.ended(task)
    following = await house.ended(await house.submit())

    assert ended.state is FAILED
    assert ended.error is not None
    assert ended.error.reason == reason
    assert following.state is COMPLETED


async def test_a_full_disk_before_the_run_fails_the_task_with_a_reason(house: House) -> None:
    house.artifacts.fault = StorageFull()

    ended = await house.ended(await house.submit())

    assert ended.state is FAILED
    assert ended.error is not None
    assert ended.error.reason == "STORAGE_FULL"


async def test_scratch_is_discarded_at_the_end(house: House) -> None:
    task = await house.submit()

    await house.ended(task)

    assert await house.artifacts.discarded.get() == task.id


async def test_a_run_beyond_its_time_is_stopped_and_fails(
    tasks: MemoryTaskStore, pool: FakePool, artifacts: MemoryArtifactStore
) -> None:
    limits = Limits(task_seconds=0.05, cancel_seconds=0.5, drain_seconds=0)
    house = House(tasks=tasks, pool=pool, artifacts=artifacts, limits=limits)
    async with house.scheduler:
        house.scheduler.open()
        task = await house.submit(Script(hangs_after=0))

        ended = await house.ended(task)

    assert ended.error is not None
    assert ended.error.message == "Task processing timeout"
    assert pool.runs_of(task.id)[0].stops == [0.5]


async def test_a_run_whose_steps_stop_coming_fails_as_stalled(
    tasks: MemoryTaskStore, pool: FakePool, artifacts: MemoryArtifactStore
) -> None:
    limits = Limits(stall_seconds=0.05, drain_seconds=0)
    house = House(tasks=tasks, pool=pool, artifacts=artifacts, limits=limits)
    async with house.scheduler:
        house.scheduler.open()
        task = await house.submit(Script(hangs_after=1))

        ended = await house.ended(task)

    assert ended.error is not None
    assert ended.error.reason == "TASK_STALLED"


async def test_a_run_may_be_silent_after_its_last_step(
    tasks: MemoryTaskStore, pool: FakePool, artifacts: MemoryArtifactStore
) -> None:
    limits = Limits(stall_seconds=0.01, task_seconds=0.2, drain_seconds=0)
    house = House(tasks=tasks, pool=pool, artifacts=artifacts, limits=limits)
    async with house.scheduler:
        house.scheduler.open()
        task = await house.submit(Script(steps=2, hangs_after=2))

        ended = await house.ended(task)

    assert ended.error is not None
    assert ended.error.reason == "TASK_TIMEOUT"


async def test_a_full_queue_refuses_and_counts_what_is_being_admitted(house: House) -> None:
    await house.submit(Script(hangs_after=1))
    with ExitStack() as admitted:
        for _ in range(3):
            admitted.enter_context(house.scheduler.reserve())

        with pytest.raises(QueueFull) as refusal:
            admitted.enter_context(house.scheduler.reserve())

    assert refusal.value.metadata == {"limit": "4"}
    assert refusal.value.retry_after_seconds is not None
    with house.scheduler.reserve():
        pass


async def test_a_lost_pool_refuses_new_tasks_and_fails_waiting_ones(
    tasks: MemoryTaskStore, artifacts: MemoryArtifactStore
) -> None:
    house = House(tasks=tasks, pool=FakePool(respawns=False), artifacts=artifacts)
    async with house.scheduler:
        house.scheduler.open()
        first = await house.submit(Script(dies_after=1))
        second = await house.submit()

        ended = [await house.ended(first), await house.ended(second)]

        with pytest.raises(NoCapacity), house.scheduler.reserve():
            pass
    assert [task.error.reason for task in ended if task.error] == ["NO_CAPACITY"] * 2


async def test_tasks_that_no_replica_is_left_for_fail_with_the_documented_text(
    tasks: MemoryTaskStore, artifacts: MemoryArtifactStore
) -> None:
    house = House(tasks=tasks, pool=FakePool(respawns=False), artifacts=artifacts)
    async with house.scheduler:
        house.scheduler.open()
        house.pool.replicas[0].die()

        ended = await house.ended(await house.submit())

    assert ended.state is FAILED
    assert ended.error is not None
    assert ended.error.message == "No inference capacity: all pipeline replicas are dead"


async def test_with_wait_tasks_that_no_replica_is_left_for_run_on_the_next_server(
    tasks: MemoryTaskStore, artifacts: MemoryArtifactStore
) -> None:
    house = House(tasks=tasks, pool=FakePool(respawns=False), artifacts=artifacts, limits=PATIENT)
    async with house.scheduler:
        house.scheduler.open()
        unlucky = await house.submit(Script(dies_after=1))
        await house.reached(unlucky, PENDING, times=2)
        waiting = await house.submit()
        with pytest.raises(NoCapacity), house.scheduler.reserve():
            pass
    left = [(await tasks.get(each.id)).state for each in (unlucky, waiting)]

    successor = House(tasks=tasks, pool=FakePool(), artifacts=artifacts)
    async with successor.scheduler:
        successor.scheduler.open()
        ended = [await successor.ended(each) for each in (unlucky, waiting)]

    assert left == [PENDING, PENDING]
    assert [task.state for task in ended] == [COMPLETED, COMPLETED]


async def test_with_wait_a_task_that_no_replica_is_left_for_can_be_cancelled(
    tasks: MemoryTaskStore, artifacts: MemoryArtifactStore
) -> None:
    house = House(tasks=tasks, pool=FakePool(respawns=False), artifacts=artifacts, limits=PATIENT)
    async with house.scheduler:
        house.scheduler.open()
        house.pool.replicas[0].die()
        task = await house.submit()
        await asyncio.sleep(0)

        cancelled = await house.scheduler.cancel(task.id)

    assert cancelled.state is CANCELLED


async def test_the_queue_tells_positions_and_expected_starts(house: House) -> None:
    await house.ended(await house.submit())
    running = await house.submit(Script(hangs_after=1))
    await house.pool.started(running.id)
    waiting = [await house.submit(), await house.submit()]

    queue = house.scheduler.queue()

    assert queue.running == (running.id,)
    assert queue.waiting == tuple(task.id for task in waiting)
    first, second = (queue.expected_starts[task.id] for task in waiting)
    assert (second - first).total_seconds() == pytest.approx(1.0)
    assert queue.ended_count == 1


async def test_nothing_runs_before_the_pipeline_is_loaded(
    tasks: MemoryTaskStore, pool: FakePool, artifacts: MemoryArtifactStore
) -> None:
    house = House(tasks=tasks, pool=pool, artifacts=artifacts)
    async with house.scheduler:
        task = await house.submit()
        await asyncio.sleep(0)
        assert pool.runs == []

        house.scheduler.open()

        assert (await house.ended(task)).state is COMPLETED


async def test_a_stop_leaves_waiting_and_running_tasks_for_the_next_server(
    tasks: MemoryTaskStore, pool: FakePool, artifacts: MemoryArtifactStore
) -> None:
    house = House(tasks=tasks, pool=pool, artifacts=artifacts)
    async with house.scheduler:
        house.scheduler.open()
        running = await house.submit(Script(hangs_after=1))
        waiting = await house.submit()
        await house.pool.started(running.id)
        await house.reached(running, PROCESSING)

    stored = [await tasks.get(each.id) for each in (running, waiting)]

    assert [task.state for task in stored] == [PENDING, PENDING]
    assert stored[0].crashes == 0
    with pytest.raises(ShuttingDown), house.scheduler.reserve():
        pass


async def test_a_stop_lets_running_tasks_end_within_the_moment(
    tasks: MemoryTaskStore, pool: FakePool, artifacts: MemoryArtifactStore
) -> None:
    house = House(tasks=tasks, pool=pool, artifacts=artifacts, limits=Limits(drain_seconds=30))
    gate = asyncio.Event()
    async with house.scheduler:
        house.scheduler.open()
        task = await house.submit(Script(gates={1: gate}))
        await house.pool.started(task.id)
        asyncio.get_running_loop().call_soon(gate.set)

    assert (await tasks.get(task.id)).state is COMPLETED


async def test_a_new_server_takes_up_what_the_last_one_left_in_order(
    tasks: MemoryTaskStore, pool: FakePool, artifacts: MemoryArtifactStore
) -> None:
    interrupted = await tasks.save(started(await tasks.create(make_task())))
    cancelling = await tasks.save(started(await tasks.create(make_task())))
    await tasks.save(cancelling.cancelling())
    waiting = await tasks.create(make_task())
    house = House(tasks=tasks, pool=pool, artifacts=artifacts)

    async with house.scheduler:
        house.scheduler.open()
        ended = [await house.ended(each) for each in (interrupted, cancelling, waiting)]

    assert [task.state for task in ended] == [COMPLETED, CANCELLED, COMPLETED]
    assert ended[0].attempt == 2
    assert [run.job.task_id for run in pool.runs] == [interrupted.id, waiting.id]


async def test_a_task_that_was_interrupted_too_often_fails_at_the_start(
    tasks: MemoryTaskStore, pool: FakePool, artifacts: MemoryArtifactStore
) -> None:
    task = await tasks.save(started(await tasks.create(make_task(crashes=1))))
    house = House(tasks=tasks, pool=pool, artifacts=artifacts)

    async with house.scheduler:
        ended = await tasks.get(task.id)

    assert ended.state is FAILED
    assert pool.runs == []


async def test_delete_removes_the_row_and_the_files_of_an_ended_task_only(house: House) -> None:
    ended = await house.ended(await house.submit())
    running = await house.submit(Script(hangs_after=1))

    await house.scheduler.delete(ended.id)

    with pytest.raises(TaskNotFound):
        await house.tasks.get(ended.id)
    assert house.artifacts.deleted == [ended.id]
    with pytest.raises(TaskNotEnded):
        await house.scheduler.delete(running.id)
