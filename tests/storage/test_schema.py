"""Opening database files: new ones, ours, and those that are not for us."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.storage.rows import encode
from telefuser_grpc.storage.schema import VERSION, UnusableDatabase, open_for_writing
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from tests.fakes.builders import NOW, ended, make_task, started


def execute(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(sql)


async def test_new_file_and_its_folders_are_made(tmp_path: Path) -> None:
    async with SqliteTaskStore(tmp_path / "state/server/tasks.db") as store:
        await store.create(make_task())

    assert (tmp_path / "state/server/tasks.db").is_file()


def test_every_commit_waits_for_the_disk(tmp_path: Path) -> None:
    with closing(open_for_writing(tmp_path / "tasks.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_file_of_a_newer_server_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    async with SqliteTaskStore(path) as store:
        await store.create(make_task("task_1"))
    execute(path, f"PRAGMA user_version = {VERSION + 1}")

    with pytest.raises(UnusableDatabase, match=f"its schema is {VERSION + 1}"):
        await SqliteTaskStore(path).__aenter__()

    execute(path, f"PRAGMA user_version = {VERSION}")
    async with SqliteTaskStore(path) as store:
        assert (await store.get("task_1")).sequence == 1


async def test_file_of_another_program_is_refused(tmp_path: Path) -> None:
    execute(tmp_path / "tasks.db", "PRAGMA application_id = 7")

    with pytest.raises(UnusableDatabase, match="belongs to another program"):
        await SqliteTaskStore(tmp_path / "tasks.db").__aenter__()


async def test_damaged_file_is_refused_without_naming_its_folder(tmp_path: Path) -> None:
    (tmp_path / "tasks.db").write_bytes(b"no database" * 1000)

    with pytest.raises(UnusableDatabase, match="not a usable database") as refusal:
        await SqliteTaskStore(tmp_path / "tasks.db").__aenter__()

    assert str(tmp_path) not in str(refusal.value)


async def test_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tasks.db").mkdir()

    with pytest.raises(UnusableDatabase, match="unable to open"):
        await SqliteTaskStore(tmp_path / "tasks.db").__aenter__()


async def test_second_server_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    async with SqliteTaskStore(path):
        with pytest.raises(UnusableDatabase, match="in use by another server"):
            await SqliteTaskStore(path).__aenter__()

    async with SqliteTaskStore(path) as second:
        assert await second.unfinished() == []


FIRST_SCHEMA = """
CREATE TABLE tasks (
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    request_id TEXT NOT NULL,
    state TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX tasks_by_state ON tasks (state, ordinal);
CREATE INDEX tasks_by_kind ON tasks (kind, state, ordinal);
CREATE INDEX tasks_by_owner ON tasks (owner, state, ordinal);
CREATE INDEX tasks_by_owner_and_kind ON tasks (owner, kind, state, ordinal);
CREATE UNIQUE INDEX tasks_by_request ON tasks (owner, request_id) WHERE request_id != '';
CREATE TABLE events (
    ordinal INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    time TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (ordinal, sequence)
) WITHOUT ROWID;
CREATE TABLE outputs (
    name TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (name, ordinal, position)
) WITHOUT ROWID;
CREATE INDEX outputs_by_task ON outputs (ordinal);
PRAGMA application_id = 2115956830;
PRAGMA user_version = 1;
"""
ENDS = [state for state in TaskState if state.is_terminal]


def write_first_schema(path: Path, *tasks: Task) -> None:
    """Makes a database as the first servers did."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(FIRST_SCHEMA)
        for ordinal, task in enumerate(tasks, 1):
            row = (ordinal, task.id, task.kind, "", "", task.state, encode(task))
            database.execute("INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        database.commit()


def structure(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT name, coalesce(sql, '') FROM sqlite_master").fetchall()
        columns = database.execute("SELECT name FROM pragma_table_info('tasks')").fetchall()
    indexes = {(name, sql) for name, sql in rows if "INDEX" in sql}
    return indexes | {("column", name) for (name,) in columns}


async def test_database_of_the_first_schema_is_migrated_with_all_its_tasks(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    running = started(make_task("running"))
    late = replace(ended(started(make_task("late"))), finished_at=NOW + timedelta(seconds=9))
    early = ended(started(make_task("early")), TaskState.FAILED)
    write_first_schema(path, late, running, make_task("waiting"), early)

    async with SqliteTaskStore(path) as store:
        oldest = [task.id for task in await store.oldest_ended(ENDS, limit=9)]
        at_end = await store.oldest_ended(ENDS, before=early.finished_at, limit=9)
        unmeasured = {task.id for task in await store.unmeasured(limit=9)}
        unfinished = [task.id for task in await store.unfinished()]
        found = await store.get("late")

    assert oldest == ["early", "late"]
    assert at_end == []
    assert unmeasured == {"early", "late"}
    assert unfinished == ["running", "waiting"]
    assert found == late


async def test_migrated_database_is_built_as_a_new_one(tmp_path: Path) -> None:
    write_first_schema(tmp_path / "old.db", make_task())

    for name in ("old.db", "new.db"):
        async with SqliteTaskStore(tmp_path / name):
            pass

    assert structure(tmp_path / "old.db") == structure(tmp_path / "new.db")


def test_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    write_first_schema(path, make_task("task_1"))
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE tasks SET body = X'7b'")
        database.commit()
    before = structure(path)

    with pytest.raises(UnusableDatabase):
        open_for_writing(path)

    assert structure(path) == before
