"""What the SQLite store promises beyond the port."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from telefuser_grpc.domain.task import Preview, Progress, StateChange, Task, TaskEvent, TaskState
from telefuser_grpc.errors import ReplicaDied, RequestIdReused, ShuttingDown, TaskNotFound
from telefuser_grpc.scheduler.ports import StaleAttempt, TaskQuery
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from tests.fakes.builders import REPORT, ended, make_artifact, make_task, started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteTaskStore]:
    async with SqliteTaskStore(path) as opened:
        yield opened


async def story(store: SqliteTaskStore, task: Task) -> list[TaskEvent]:
    """Reads a task's events as far as they are committed."""
    events: list[TaskEvent] = []
    async with aclosing(store.watch(task.id)) as watched:
        while not events or events[-1].sequence < task.sequence:
            events.append(await anext(watched))
    return events


async def test_everything_is_the_same_after_a_restart(path: Path) -> None:
    async with SqliteTaskStore(path) as store:
        waiting = await store.create(make_task(request_id="r", fingerprint="f", owner="ann"))
        running = await store.save(started(await store.create(make_task())))
        store.append(running.id, 1, Preview(step=1, image=bytes(range(256))))
        stopping = await store.save(started(await store.create(make_task())))
        stopping = await store.save(stopping.cancelling())
        crashed = await store.save(started(await store.create(make_task())))
        crashed = await store.save(crashed.requeue(ReplicaDied("replica 0 died")))
        done = await store.save(started(await store.create(make_task("task_done"))))
        for step in (1, 2):
            store.append(done.id, 1, Progress(step=step, steps=2, remaining_seconds=0.1))
        artifact = make_artifact("task_done", "a/b.mp4")
        done = await store.save(done.complete((artifact,), REPORT, datetime.now(UTC)))
        tasks = [await store.get(each.id) for each in (waiting, running, stopping, crashed, done)]
        stories = [await story(store, task) for task in tasks]
        counts = store.counts()

    async with SqliteTaskStore(path) as store:
        assert [await store.get(task.id) for task in tasks] == tasks
        assert [await story(store, task) for task in tasks] == stories
        assert list(await store.unfinished()) == tasks[:-1]
        assert (await store.list(TaskQuery())).tasks == tuple(reversed(tasks))
        assert store.counts() == counts
        assert await store.find_output("b.mp4") == artifact
        assert await store.find_request("ann", "r", "f") == waiting
        with pytest.raises(RequestIdReused):
            await store.create(make_task(request_id="r", fingerprint="g", owner="ann"))


async def test_sequences_and_progress_go_on_after_a_restart(path: Path) -> None:
    async with SqliteTaskStore(path) as store:
        running = await store.save(started(await store.create(make_task())))
        store.append(running.id, 1, Progress(step=1, steps=3))
        store.append(running.id, 1, Preview(step=1, image=b"p"))

    async with SqliteTaskStore(path) as store:
        seen = await store.get(running.id)
        assert seen.progress == Progress(step=1, steps=3)
        store.append(running.id, 1, Progress(step=2, steps=3))
        done = await store.save(ended(seen))

        assert done.progress == Progress(step=2, steps=3)
        assert [event.sequence for event in await story(store, done)] == [1, 2, 3, 4, 5, 6]


async def test_progress_of_an_earlier_attempt_does_not_come_back(path: Path) -> None:
    async with SqliteTaskStore(path) as store:
        running = await store.save(started(await store.create(make_task())))
        store.append(running.id, 1, Progress(step=1, steps=3))
        again = await store.save(started(await store.save(running.requeue())))

    async with SqliteTaskStore(path) as store:
        assert await store.get(running.id) == again
        assert again.progress is None


async def test_ordinals_of_deleted_tasks_are_not_given_again(path: Path) -> None:
    async with SqliteTaskStore(path) as store:
        tasks = [await store.create(make_task()) for _ in range(5)]
        token = (await store.list(TaskQuery(page_size=1))).next_page_token
        for task in tasks[3:]:
            await store.save(ended(await store.save(started(task))))
            await store.delete(task.id)

    async with SqliteTaskStore(path) as store:
        await store.create(make_task())
        page = await store.list(TaskQuery(page_token=token))

        assert page.tasks == tuple(reversed(tasks[:3]))


async def test_times_keep_their_microseconds_and_zone(path: Path) -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=8)))
    async with SqliteTaskStore(path, clock=lambda: time) as store:
        task = await store.create(make_task(created_at=time))

    async with SqliteTaskStore(path) as store:
        assert (await store.get(task.id)).created_at == time
        assert (await story(store, task))[0].time == time


async def test_closing_writes_what_waits(path: Path) -> None:
    async with SqliteTaskStore(path) as store:
        creating = [asyncio.create_task(store.create(make_task())) for _ in range(50)]
        await asyncio.sleep(0)
    created = await asyncio.gather(*creating)

    async with SqliteTaskStore(path) as store:
        assert list(await store.unfinished()) == created


async def test_closed_store_refuses_writes(path: Path) -> None:
    async with SqliteTaskStore(path) as store:
        running = await store.save(started(await store.create(make_task())))

    store.append(running.id, 1, Progress(step=1, steps=2))
    with pytest.raises(ShuttingDown):
        await store.create(make_task())


async def test_closing_sends_watchers_away_unlike_an_end(path: Path) -> None:
    async with SqliteTaskStore(path) as store:
        task = await store.create(make_task())
        events = store.watch(task.id, task.sequence)
        changes = store.changes()
        await anext(changes)
        waiting = [asyncio.ensure_future(anext(each, None)) for each in (events, changes)]
        await asyncio.sleep(0)

    with pytest.raises(ShuttingDown):
        await waiting[0]
    assert await waiting[1] is None


async def test_concurrent_writes_share_commits(store: SqliteTaskStore) -> None:
    before = store._writer.commit_count

    await asyncio.gather(*[store.create(make_task()) for _ in range(200)])

    assert store._writer.commit_count - before < 50


async def test_lone_write_is_committed_at_once(store: SqliteTaskStore) -> None:
    before = store._writer.commit_count

    for _ in range(5):
        await store.create(make_task())

    assert store._writer.commit_count - before == 5


async def test_refused_writes_leave_their_batch_alone(store: SqliteTaskStore) -> None:
    taken = await store.create(make_task("task_taken"))
    tasks = [make_task() for _ in range(20)]
    unwritable = make_task(fields={"prompt": object()})

    results = await asyncio.gather(
        *map(store.create, tasks[:10]),
        store.create(make_task("task_taken")),
        store.create(unwritable),
        store.save(ended(started(taken))),
        *map(store.create, tasks[10:]),
        return_exceptions=True,
    )

    created = [result for result in results if isinstance(result, Task)]
    refused = [type(result) for result in results if isinstance(result, BaseException)]
    assert [task.id for task in created] == [task.id for task in tasks]
    assert refused[1:] == [TypeError, StaleAttempt]
    assert await store.unfinished() == [taken, *created]
    with pytest.raises(TaskNotFound):
        await store.get(unwritable.id)


async def test_task_that_cannot_be_written_stays_as_it_was(store: SqliteTaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))
    nameless = make_artifact(running.id, path="nameless.mp4")

    with pytest.raises(IndexError):
        await store.save(running.complete((nameless,), REPORT, running.created_at))

    page = await store.list(TaskQuery())
    assert page.tasks == (running,)
    assert (await store.save(ended(running))).sequence == 3


async def test_whole_life_fits_into_one_batch(store: SqliteTaskStore) -> None:
    task = make_task("task_1", request_id="r", fingerprint="f")
    running = started(task)

    results = await asyncio.gather(
        store.create(task),
        store.save(running),
        store.save(ended(running)),
        store.delete("task_1"),
        store.create(task),
    )

    assert [result.sequence for result in results] == [1, 2, 3, 3, 1]
    assert store.counts() == dict.fromkeys(TaskState, 0) | {TaskState.PENDING: 1}
    assert [event.attempt for event in await story(store, results[-1])] == [0]


async def test_deleted_task_leaves_no_row(path: Path) -> None:
    async with SqliteTaskStore(path) as store:
        task = make_task()
        running = started(task)
        writes = (store.create(task), store.save(running), store.save(ended(running)))
        await asyncio.gather(*writes, store.delete(task.id))
        done = await store.save(ended(await store.save(started(await store.create(task)))))
        await store.delete(done.id)

    with closing(sqlite3.connect(path)) as database:
        for table in ("tasks", "events", "outputs"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_caller_that_gives_up_does_not_undo_its_write(store: SqliteTaskStore) -> None:
    task = make_task()
    creating = asyncio.create_task(store.create(task))
    await asyncio.sleep(0)
    creating.cancel()

    await store.create(make_task())

    assert (await store.get(task.id)).sequence == 1
    assert creating.cancelled()


async def test_active_and_recent_tasks_are_read_from_memory(
    store: SqliteTaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await store.create(make_task())
    done = await store.save(ended(await store.save(started(await store.create(make_task())))))
    monkeypatch.setattr(store._reader, "task", None)

    assert await store.get(waiting.id) == waiting
    assert await store.get(done.id) == done


async def test_ended_tasks_do_not_fill_the_memory(store: SqliteTaskStore) -> None:
    async def live() -> Task:
        running = await store.save(started(await store.create(make_task())))
        return await store.save(ended(running))

    tasks = await asyncio.gather(*[live() for _ in range(400)])

    assert len(store._memory._ended) < 300
    assert len(store._writer._active) == len(store._memory._active) == 0
    assert [await store.get(task.id) for task in tasks] == tasks


async def test_slow_watcher_holds_little_and_misses_no_state(store: SqliteTaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))
    async with aclosing(store.watch(running.id)) as slow:
        first = await anext(slow)
        for step in range(1, 2001):
            store.append(running.id, 1, Progress(step=step, steps=2000))
            store.append(running.id, 1, Preview(step=step, image=b"x" * 100))
        await store.save(ended(running))
        kept = len(store._hub._topics[running.id]._events)

        seen = [first] + [event async for event in slow]

    sequences = [event.sequence for event in seen]
    assert kept < 200
    assert len(seen) < 300
    assert sequences == sorted(set(sequences))
    assert [each.change.state for each in seen if isinstance(each.change, StateChange)] == [
        TaskState.PENDING,
        TaskState.PROCESSING,
        TaskState.COMPLETED,
    ]
    assert [event.change for event in seen[-3:-1]] == [
        Progress(step=2000, steps=2000),
        Preview(step=2000, image=b"x" * 100),
    ]


async def test_watchers_share_each_event(store: SqliteTaskStore) -> None:
    task = await store.create(make_task())
    watchers = [store.watch(task.id, task.sequence) for _ in range(100)]
    waiting = [asyncio.ensure_future(anext(watcher)) for watcher in watchers]
    await asyncio.sleep(0)

    await store.save(started(task))
    events = await asyncio.gather(*waiting)

    assert len({id(event) for event in events}) == 1
    for watcher in watchers:
        await watcher.aclose()


@pytest.mark.parametrize("end", ["close", "cancel"])
async def test_watcher_that_leaves_is_forgotten(store: SqliteTaskStore, end: str) -> None:
    task = await store.create(make_task())
    events = store.watch(task.id, task.sequence)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    assert store._hub._topics

    if end == "cancel":
        waiting.cancel()
        await asyncio.wait([waiting])
    else:
        await store.save(started(task))
        await waiting
        await events.aclose()

    assert not store._hub._topics


async def test_long_history_is_read_in_small_parts(store: SqliteTaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))
    for step in range(1, 101):
        store.append(running.id, 1, Preview(step=step, image=b"x" * 5000))
    done = await store.save(ended(running))

    part = await store._reader.events(done.id, 0)

    assert 1 < len(part) < 20
    assert [event.sequence for event in await story(store, done)] == list(range(1, 104))


async def test_list_never_shows_a_state_that_the_filter_excludes(store: SqliteTaskStore) -> None:
    tasks = [await store.create(make_task()) for _ in range(10)]

    async def churn() -> None:
        for task in tasks:
            await store.save(ended(await store.save(started(task))))

    churning = asyncio.create_task(churn())
    while not churning.done():
        for state in TaskState:
            page = await store.list(TaskQuery(states=(state,)))
            assert all(task.state is state for task in page.tasks)
        page = await store.list(TaskQuery(kinds=("t2v",)))
        assert len({task.id for task in page.tasks}) == 10

    await churning


async def test_stale_row_of_a_running_task_is_not_listed_without_its_progress(
    store: SqliteTaskStore,
) -> None:
    running = await store.save(started(await store.create(make_task())))
    store.append(running.id, 1, Progress(step=1, steps=2))
    await store.create(make_task())

    (_, listed) = (await store.list(TaskQuery())).tasks

    assert listed == replace(running, sequence=3, progress=Progress(step=1, steps=2))
