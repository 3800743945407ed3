"""The TaskArchive port: every store of tasks, and the fake, keeps these promises."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import TaskNotEnded, TaskNotFound
from telefuser_grpc.scheduler.ports import EndedTask
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from tests.fakes.builders import NOW, ended, make_task, started
from tests.fakes.tasks import MemoryTaskStore

Store = SqliteTaskStore | MemoryTaskStore

ENDS = tuple(state for state in TaskState if state.is_terminal)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryTaskStore()
    else:
        async with SqliteTaskStore(tmp_path / "tasks.db", clock=lambda: NOW) as sqlite:
            yield sqlite


async def end(
    store: Store, task_id: str, *, after: float = 0, state: TaskState = TaskState.COMPLETED
) -> Task:
    """Takes a new task to its end some seconds after NOW."""
    task = await store.save(started(await store.create(make_task(task_id))))
    if state is TaskState.CANCELLED:
        task = await store.save(task.cancelling())
        done = replace(task, state=state)
    else:
        done = ended(task, state)
    return await store.save(replace(done, finished_at=NOW + timedelta(seconds=after)))


def ids(tasks: Sequence[EndedTask]) -> list[str]:
    return [task.id for task in tasks]


async def test_oldest_are_those_that_ended_first_whatever_their_state(store: Store) -> None:
    await end(store, "c", after=3)
    await end(store, "a", after=0.000_001, state=TaskState.FAILED)
    await end(store, "b", after=2, state=TaskState.CANCELLED)
    await end(store, "first", after=0)
    await store.create(make_task("waiting"))

    assert ids(await store.oldest_ended(ENDS, limit=9)) == ["first", "a", "b", "c"]
    assert ids(await store.oldest_ended(ENDS, limit=2)) == ["first", "a"]
    assert ids(await store.oldest_ended([TaskState.CANCELLED], limit=9)) == ["b"]
    assert ids(await store.oldest_ended([], limit=9)) == []


async def test_tasks_that_ended_together_come_in_the_order_of_their_creation(store: Store) -> None:
    for task_id in ("b", "c", "a"):
        await end(store, task_id)

    assert ids(await store.oldest_ended(ENDS, limit=9)) == ["b", "c", "a"]


async def test_oldest_before_a_time_ended_before_it_to_the_microsecond(store: Store) -> None:
    await end(store, "a", after=1)
    await end(store, "b", after=2)

    at = NOW + timedelta(seconds=2)

    assert ids(await store.oldest_ended(ENDS, before=at, limit=9)) == ["a"]
    later = at + timedelta(microseconds=1)
    assert ids(await store.oldest_ended(ENDS, before=later, limit=9)) == ["a", "b"]


async def test_active_tasks_are_never_among_the_ended(store: Store) -> None:
    await store.create(make_task("pending"))
    await store.save(started(await store.create(make_task("processing"))))
    running = await store.save(started(await store.create(make_task("cancelling"))))
    await store.save(running.cancelling())
    running = await store.save(started(await store.create(make_task("again"))))
    await store.save(running.requeue())

    assert await store.oldest_ended(ENDS, limit=9) == []
    assert await store.unmeasured(limit=9) == []
    for task_id in ("pending", "processing", "cancelling", "again"):
        with pytest.raises(TaskNotEnded):
            await store.measure(task_id, 1)
    assert store.ended_bytes() == 0


async def test_measured_sizes_add_up_and_leave_with_their_tasks(store: Store) -> None:
    for number, task_id in enumerate(("a", "b", "c")):
        await end(store, task_id, after=number)

    before = ids(await store.unmeasured(limit=9))
    await store.measure("a", 10)
    await store.measure("b", 200)

    assert sorted(before) == ["a", "b", "c"]
    assert ids(await store.unmeasured(limit=9)) == ["c"]
    assert store.ended_bytes() == 210
    assert [task.size_bytes for task in await store.oldest_ended(ENDS, limit=9)] == [10, 200, None]
    await store.measure("a", 15)
    assert store.ended_bytes() == 215
    await store.delete("b")
    await store.delete("c")
    assert store.ended_bytes() == 15
    with pytest.raises(TaskNotFound):
        await store.measure("b", 1)


async def test_measuring_is_no_event_of_the_story(store: Store) -> None:
    done = await end(store, "a")

    await store.measure("a", 10)

    assert await store.get("a") == done
    assert len([event async for event in store.watch("a")]) == 3


async def test_largest_hold_more_than_the_bound_the_largest_first(store: Store) -> None:
    sizes = {"a": 10, "b": 30, "c": 20, "d": 40}
    for task_id, size_bytes in sizes.items():
        state = TaskState.FAILED if task_id == "d" else TaskState.COMPLETED
        await end(store, task_id, state=state)
        await store.measure(task_id, size_bytes)
    await end(store, "unmeasured")

    assert ids(await store.largest_ended(ENDS, above_bytes=10, limit=9)) == ["d", "b", "c"]
    assert ids(await store.largest_ended(ENDS, above_bytes=0, limit=1)) == ["d"]
    completed = [TaskState.COMPLETED]
    assert ids(await store.largest_ended(completed, above_bytes=9, limit=2)) == ["b", "c"]


async def test_states_are_told_of_stored_tasks_alone(store: Store) -> None:
    await end(store, "a", state=TaskState.FAILED)
    await store.save(started(await store.create(make_task("b"))))

    states = await store.states(["a", "b", "c", "å\"'"])

    assert states == {"a": TaskState.FAILED, "b": TaskState.PROCESSING}


async def test_name_of_a_deleted_task_begins_without_its_size(store: Store) -> None:
    await end(store, "a")
    await store.measure("a", 10)
    await store.delete("a")

    await end(store, "a")

    assert ids(await store.unmeasured(limit=9)) == ["a"]
    assert store.ended_bytes() == 0
