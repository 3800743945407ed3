"""Opening database files: new ones, ours, and those that are not for us."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from telefuser_grpc.storage.schema import VERSION, UnusableDatabase, open_for_writing
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from tests.fakes.builders import make_task


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
