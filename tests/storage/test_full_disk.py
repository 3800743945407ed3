"""The SQLite store on a disk that refuses writes: nothing changes, and nothing needs a restart."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.domain.task import Progress, Task, TaskState
from telefuser_grpc.errors import StorageFull
from telefuser_grpc.storage import schema
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from tests.fakes.builders import ended, make_task, started


class Disk:
    """What the next transactions meet: a limit on the file's pages, or a failing statement."""

    most_pages = 2**31 - 2
    failing_statement = 0  # counted from 1 within each transaction, 0 for none


class LimitedConnection(sqlite3.Connection):
    """A connection on such a disk; SQLite itself enforces the pages."""

    disk: Disk
    statement = 0

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith("BEGIN"):
            self.statement = 0
            super().execute(f"PRAGMA max_page_count = {self.disk.most_pages}")
        if sql != "ROLLBACK":
            self.statement += 1
            if self.statement == self.disk.failing_statement:
                raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *values)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    connection = type("Connection", (LimitedConnection,), {"disk": disk})

    def connect(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=connection)

    monkeypatch.setattr(schema, "connect", connect)
    return disk


@pytest.fixture
async def store(disk: Disk, tmp_path: Path) -> AsyncIterator[SqliteTaskStore]:
    async with SqliteTaskStore(tmp_path / "tasks.db") as store:
        yield store


async def fill(store: SqliteTaskStore, disk: Disk) -> Task:
    """Creates tasks until the disk is full, and returns the one that was refused."""
    disk.most_pages = 1  # SQLite takes it as: no more than there are
    while True:
        task = make_task(fields={"prompt": "x" * 5000})
        try:
            await store.create(task)
        except StorageFull:
            return task


async def sequences(store: SqliteTaskStore, task_id: str) -> list[int]:
    return [event.sequence async for event in store.watch(task_id)]


async def test_full_disk_refuses_a_task_and_forgets_it(store: SqliteTaskStore, disk: Disk) -> None:
    await store.create(make_task())

    refused = await fill(store, disk)

    assert refused.id not in [task.id for task in await store.unfinished()]
    assert store.counts()[TaskState.PENDING] == len(await store.unfinished())


async def test_reads_work_while_the_disk_is_full(store: SqliteTaskStore, disk: Disk) -> None:
    running = await store.save(started(await store.create(make_task())))
    done = await store.save(ended(running))

    await fill(store, disk)

    assert await store.get(done.id) == done
    assert await store.find_output(f"{done.id}.mp4") == done.artifacts[0]
    assert await sequences(store, done.id) == [1, 2, 3]


async def test_store_works_again_when_the_disk_does(store: SqliteTaskStore, disk: Disk) -> None:
    running = await store.save(started(await store.create(make_task())))
    refused = await fill(store, disk)
    for step in range(100):
        store.append(running.id, 1, Progress(step=step, steps=100, stage="x" * 1000))
    with pytest.raises(StorageFull):
        await asyncio.gather(*[store.create(make_task(fields={"p": "x" * 9000})) for _ in range(9)])

    disk.most_pages = Disk.most_pages
    created = await store.create(refused)
    done = await store.save(ended(await store.get(running.id)))

    assert created.sequence == 1
    assert await sequences(store, done.id) == list(range(1, done.sequence + 1))


async def test_new_tasks_are_refused_with_their_whole_batch(
    store: SqliteTaskStore, disk: Disk
) -> None:
    await fill(store, disk)
    before = store.counts()

    results = await asyncio.gather(
        *[store.create(make_task(fields={"p": "x" * 9000})) for _ in range(20)],
        return_exceptions=True,
    )

    assert all(isinstance(result, StorageFull) for result in results[1:])
    assert store.counts() == before


async def test_what_becomes_of_tasks_is_written_beside_refused_new_ones(
    store: SqliteTaskStore, disk: Disk
) -> None:
    """A start too: its run has begun, and nobody could stop it before it is written."""
    waiting = await store.create(make_task())
    running = await store.save(started(await store.create(make_task())))
    old = await store.save(ended(await store.save(started(await store.create(make_task())))))
    await fill(store, disk)

    *created, deleted, begun, done = await asyncio.gather(
        *[store.create(make_task(fields={"p": "x" * 9000})) for _ in range(20)],
        store.delete(old.id),
        store.save(started(waiting)),
        store.save(ended(running)),
        return_exceptions=True,
    )

    assert all(isinstance(each, StorageFull) for each in created)
    assert deleted == old
    assert begun == await store.get(waiting.id)
    assert isinstance(done, Task)
    assert done.state is TaskState.COMPLETED
    assert await sequences(store, done.id) == [1, 2, 3]


@pytest.mark.parametrize("statement", range(1, 9))
async def test_failure_of_any_statement_changes_nothing(
    store: SqliteTaskStore, disk: Disk, statement: int
) -> None:
    """Takes a task through its life, each write failing once at the same statement."""
    task = make_task(request_id="r", fingerprint="f")
    failures = 0

    async def insist(write: Any, value: Any) -> Any:
        nonlocal failures
        known = await asyncio.gather(store.get(task.id), return_exceptions=True)
        disk.failing_statement = statement
        try:
            return await write(value)
        except StorageFull:
            failures += 1
            disk.failing_statement = 0
            after = await asyncio.gather(store.get(task.id), return_exceptions=True)
            assert str(after) == str(known)
            return await write(value)
        finally:
            disk.failing_statement = 0

    created = await insist(store.create, task)
    running = await insist(store.save, started(created))
    done = await insist(store.save, ended(running))

    assert [created.sequence, running.sequence, done.sequence] == [1, 2, 3]
    assert await sequences(store, task.id) == [1, 2, 3]
    assert await store.find_output(f"{task.id}.mp4") == done.artifacts[0]
    assert await insist(store.delete, task.id) == done
    assert sum(store.counts().values()) == 0
    assert failures == {1: 4, 2: 4, 3: 4, 4: 4, 5: 3, 6: 2, 7: 1, 8: 0}[statement]


async def test_watchers_see_nothing_of_a_refused_batch(store: SqliteTaskStore, disk: Disk) -> None:
    task = await store.create(make_task())
    events = store.watch(task.id, task.sequence)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)

    disk.failing_statement = 4
    with pytest.raises(StorageFull):
        await store.save(started(task))
    disk.failing_statement = 0
    assert not waiting.done()
    await store.save(started(task, replica=5))

    assert (await waiting).sequence == 2
    assert (await store.get(task.id)).replica == 5
    await events.aclose()
