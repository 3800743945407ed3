"""Clearing up on a real disk: what the port's suite cannot say."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from telefuser_grpc.storage.folders import LocalTaskFolders
from tests.fakes.builders import NOW

SOON = NOW + timedelta(days=10_000)


@pytest.fixture
def folders(tmp_path: Path) -> LocalTaskFolders:
    return LocalTaskFolders(tmp_path)


def write(root: Path, path: str) -> Path:
    file = root / "tasks" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"film")
    return file


async def test_what_a_crash_left_of_a_removal_is_removed(
    folders: LocalTaskFolders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "task_1/outputs/videos/a.mp4")
    with monkeypatch.context() as crash:
        crash.setattr(shutil, "rmtree", lambda *_, **__: None)
        await folders.delete(["task_1"])
    left = [path.name for path in tmp_path.rglob("*.mp4")]

    await folders.finish_removals()

    assert left == ["a.mp4"]
    assert not (tmp_path / "tasks/task_1").exists()
    assert list(tmp_path.rglob("*.mp4")) == []


async def test_files_beside_the_folders_are_no_tasks(
    folders: LocalTaskFolders, tmp_path: Path
) -> None:
    write(tmp_path, "task_1/inputs/a.png")
    (tmp_path / "tasks/note.txt").touch()
    (tmp_path / "tasks/link").symlink_to(tmp_path / "tasks/task_1")

    assert [names async for names in folders.names()] == [["task_1"]]


async def test_links_are_never_followed(folders: LocalTaskFolders, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(bytes(1000))
    scratch = tmp_path / "tasks/task_1/tmp"
    scratch.mkdir(parents=True)
    (scratch / "1").symlink_to(outside)

    sizes = await folders.sizes(["task_1"])
    await folders.discard_parts(["task_1"], SOON)
    await folders.delete_stale(["task_1"], SOON)

    assert sizes == {"task_1": 0}
    assert (outside / "secret").exists()
    assert not (tmp_path / "tasks/task_1").exists()


async def test_folder_that_cannot_be_removed_keeps_no_other(
    folders: LocalTaskFolders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task_id in ("task_1", "task_2"):
        write(tmp_path, f"{task_id}/inputs/a.png")
    remove = shutil.rmtree

    def refuse_one(path: Path) -> None:
        if path.name.startswith("task_1"):
            raise PermissionError(13, os.strerror(13))
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", refuse_one)

    assert await folders.delete_stale(["task_1", "task_2"], SOON) == ["task_2"]


async def test_folder_that_cannot_be_removed_is_left_when_others_are_deleted(
    folders: LocalTaskFolders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = (write(tmp_path, f"{task_id}/inputs/a.png") for task_id in ("task_1", "task_2"))
    remove = shutil.rmtree

    def refuse_one(path: Path) -> None:
        if path.name.startswith("task_1"):
            raise PermissionError(13, os.strerror(13))
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", refuse_one)
    await folders.delete(["task_1", "task_2"])

    assert not kept.exists()
    assert not gone.exists()
    assert [path.name for path in tmp_path.rglob("*.png")] == ["a.png"]
