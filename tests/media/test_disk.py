"""The disk: work that was begun is waited for, and a name is given only to what is durable."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from telefuser_grpc.media.disk import in_thread, make_folder, publish, remove_empty, write_file


async def test_a_result_and_an_error_come_back_from_the_thread() -> None:
    assert await in_thread(int, "ff", base=16) == 255
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "no number")


async def test_a_cancelled_caller_waits_for_the_end_of_the_work_however_often_it_is_told() -> None:
    begun, go_on, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()
        ended.set()
        raise ValueError("nobody hears this")

    caller = asyncio.create_task(in_thread(work))
    await begun.wait()
    for _ in range(3):
        caller.cancel()
        await asyncio.sleep(0)
    gave_up = caller.done()
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not gave_up
    assert ended.is_set()


def test_content_is_synced_before_its_name_and_its_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    rename = Path.rename

    def recorded_rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    def recorded_fsync(descriptor: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")

    monkeypatch.setattr(Path, "rename", recorded_rename)
    monkeypatch.setattr(os, "fsync", recorded_fsync)
    write_file(tmp_path / "a.part", [b"a", b"b"])

    publish(tmp_path / "a.part", tmp_path / "a.png")

    assert steps == ["sync a.part", "rename", f"sync {tmp_path.name}"]
    assert (tmp_path / "a.png").read_bytes() == b"ab"


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    write_file(tmp_path / "a.part", [b"first"])

    with pytest.raises(FileExistsError):
        write_file(tmp_path / "a.part", [b"second"])

    assert (tmp_path / "a.part").read_bytes() == b"first"


def test_folders_are_made_with_their_parents_and_again_without_harm(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    make_folder(tmp_path / "a" / "b" / "c")

    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_only_empty_folders_are_removed(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "file").touch()

    remove_empty(tmp_path / "a" / "b", tmp_path / "a", tmp_path / "absent")

    assert [path.name for path in tmp_path.rglob("*")] == ["a", "file"]


def test_the_server_process_loads_no_decoder_at_its_start() -> None:
    code = (
        "import sys, telefuser_grpc.media.inputs;"
        "print([name for name in ('PIL', 'av', 'numpy', 'torch') if name in sys.modules])"
    )

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert loaded.stdout.strip() == "[]", loaded.stderr
