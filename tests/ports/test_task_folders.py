"""The TaskFolders port: the real adapter, and the fake, keep these promises."""

import os
from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from telefuser_grpc.scheduler.ports import TaskFolders
from telefuser_grpc.storage.folders import LocalTaskFolders
from tests.fakes.builders import NOW
from tests.fakes.folders import MemoryTaskFolders

OLD = NOW - timedelta(hours=2)
HOUR_AGO = NOW - timedelta(hours=1)


class Shelf(ABC):
    """Folders and a way to write to them."""

    folders: TaskFolders

    @abstractmethod
    def write(self, task_id: str, path: str, *, size_bytes: int = 1, time: datetime = OLD) -> None:
        """Writes a file as if at a time."""

    @abstractmethod
    def paths(self) -> list[str]:
        """Returns all files as `<task id>/<path>`."""


class MemoryShelf(Shelf):
    def __init__(self) -> None:
        self.folders = self._folders = MemoryTaskFolders()

    def write(self, task_id: str, path: str, *, size_bytes: int = 1, time: datetime = OLD) -> None:
        self._folders.write(task_id, path, size_bytes=size_bytes, time=time)

    def paths(self) -> list[str]:
        return self._folders.paths()


class DiskShelf(Shelf):
    def __init__(self, root: Path) -> None:
        self.folders = LocalTaskFolders(root)
        self._tasks = root / "tasks"

    def write(self, task_id: str, path: str, *, size_bytes: int = 1, time: datetime = OLD) -> None:
        file = self._tasks / task_id / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size_bytes))
        os.utime(file, (time.timestamp(),) * 2)
        for folder in (self._tasks / task_id).rglob("*/"):
            os.utime(folder, (OLD.timestamp(),) * 2)
        os.utime(self._tasks / task_id, (OLD.timestamp(),) * 2)

    def paths(self) -> list[str]:
        files = (path for path in self._tasks.rglob("*") if path.is_file())
        return sorted(path.relative_to(self._tasks).as_posix() for path in files)


@pytest.fixture(params=["memory", "disk"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return MemoryShelf() if request.param == "memory" else DiskShelf(tmp_path)


async def test_every_task_with_a_folder_is_named_once(shelf: Shelf) -> None:
    expected = {f"task_{number}" for number in range(300)}
    for task_id in expected:
        shelf.write(task_id, "inputs/a.png")

    batches = [names async for names in shelf.folders.names()]

    named = [name for names in batches for name in names]
    assert len(named) == 300
    assert set(named) == expected
    assert max(map(len, batches)) <= 128


async def test_no_folders_are_no_names(shelf: Shelf) -> None:
    assert [names async for names in shelf.folders.names()] == []


async def test_size_is_that_of_all_files_of_a_task(shelf: Shelf) -> None:
    shelf.write("task_1", "inputs/a.png", size_bytes=10)
    shelf.write("task_1", "outputs/videos/x/a.mp4", size_bytes=200)
    shelf.write("task_1", "tmp/1/a.mp4", size_bytes=3000)
    shelf.write("task_2", "inputs/a.png", size_bytes=5)

    sizes = await shelf.folders.sizes(["task_1", "task_2", "task_3"])

    assert sizes == {"task_1": 3210, "task_2": 5, "task_3": 0}


async def test_deleted_folders_are_gone_and_others_stay(shelf: Shelf) -> None:
    shelf.write("task_1", "outputs/videos/a.mp4")
    shelf.write("task_2", "outputs/videos/a.mp4")

    await shelf.folders.delete(["task_1", "task_3"])

    assert shelf.paths() == ["task_2/outputs/videos/a.mp4"]


async def test_folder_is_stale_only_when_nothing_in_it_is_new(shelf: Shelf) -> None:
    shelf.write("task_1", "inputs/a.png")
    shelf.write("task_1", "inputs/b.part", time=NOW)
    shelf.write("task_2", "inputs/a.png")
    shelf.write("task_3", "inputs/a.png")

    removed = await shelf.folders.delete_stale(["task_1", "task_2", "task_4"], HOUR_AGO)

    assert removed == ["task_2"]
    assert shelf.paths() == ["task_1/inputs/a.png", "task_1/inputs/b.part", "task_3/inputs/a.png"]


async def test_old_scratch_and_part_files_are_discarded_and_nothing_else(shelf: Shelf) -> None:
    kept = ["task_1/inputs/a.png", "task_1/outputs/videos/a.part", "task_1/tmp/2/new.mp4"]
    for path in (*kept[:2], "task_1/inputs/a.part", "task_1/tmp/1/old.mp4", "task_2/tmp/1/a.mp4"):
        shelf.write(*path.split("/", 1))
    shelf.write("task_1", "tmp/2/new.mp4", time=NOW)

    count = await shelf.folders.discard_parts(["task_1", "task_3"], HOUR_AGO)

    assert count == 2
    assert shelf.paths() == [*kept, "task_2/tmp/1/a.mp4"]


async def test_old_outputs_are_discarded_and_inputs_stay(shelf: Shelf) -> None:
    shelf.write("task_1", "inputs/a.png")
    shelf.write("task_1", "outputs/videos/x/a.mp4")
    shelf.write("task_1", "outputs/images/a.png", time=NOW)
    shelf.write("task_2", "outputs/videos/a.mp4")

    count = await shelf.folders.discard_outputs(["task_1", "task_3"], HOUR_AGO)

    assert count == 1
    assert shelf.paths() == [
        "task_1/inputs/a.png",
        "task_1/outputs/images/a.png",
        "task_2/outputs/videos/a.mp4",
    ]


async def test_free_space_is_told(shelf: Shelf) -> None:
    assert await shelf.folders.free_bytes() > 0
