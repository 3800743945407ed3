"""Uploads: what comes in whole and decodes is kept, nothing else leaves a trace."""

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.domain.artifact import Upload
from telefuser_grpc.errors import (
    ChecksumMismatch,
    InputRejected,
    StorageFull,
    UploadNotFound,
    UploadTooLarge,
)
from telefuser_grpc.media import disk
from telefuser_grpc.media.uploads import FLUSH_BYTES, LocalUploads
from telefuser_grpc.pipeline.probe import ProbeLimits
from tests.fakes.media_files import mp4, noise, png_bomb, still, truncated

MAX_BYTES = 4 * 2**20
NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)


def uploads_in(root: Path, *, max_bytes: int = MAX_BYTES) -> LocalUploads:
    return LocalUploads(root, max_bytes=max_bytes, limits=ProbeLimits(), clock=lambda: NOW)


async def send(uploads: LocalUploads, content: bytes, **promise: Any) -> Upload:
    async with uploads.receive(**promise) as sink:
        for start in range(0, len(content), 64 * 1024):
            await sink.write(content[start : start + 64 * 1024])
        return await sink.finish()


def names_below(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.name != "uploads"]


async def test_an_upload_is_described_by_its_content(tmp_path: Path) -> None:
    content = still(width=8, height=6)

    upload = await send(uploads_in(tmp_path), content)

    assert upload.size_bytes == len(content)
    assert upload.sha256 == hashlib.sha256(content).hexdigest()
    assert upload.created_at == NOW
    assert (upload.facts.content_type, upload.facts.width) == ("image/png", 8)


async def test_an_upload_survives_a_restart(tmp_path: Path) -> None:
    content = mp4()
    upload = await send(uploads_in(tmp_path), content)

    after_restart = uploads_in(tmp_path)

    assert after_restart.read(upload.id) == upload
    assert after_restart.path(upload.id).read_bytes() == content


async def test_a_kept_promise_is_accepted_in_any_case(tmp_path: Path) -> None:
    content = still()
    digest = hashlib.sha256(content).hexdigest().upper()

    upload = await send(uploads_in(tmp_path), content, size_bytes=len(content), sha256=digest)

    assert upload.sha256 == digest.lower()


async def test_small_pieces_are_gathered_before_they_go_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: list[str] = []
    in_thread = disk.in_thread

    async def counted(function: Callable[..., Any], *args: Any) -> Any:
        trips.append(function.__name__)
        return await in_thread(function, *args)

    monkeypatch.setattr("telefuser_grpc.media.uploads.in_thread", counted)
    content = noise(width=1536, height=1024)
    assert FLUSH_BYTES < len(content) < 2 * FLUSH_BYTES

    await send(uploads_in(tmp_path), content)

    assert trips == ["_flush", "_finish"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"no image at all, but text in a file called a.png", "known format"),
        (truncated(still(width=64, height=64)), "damaged"),
        (png_bomb(), "pixels"),
    ],
)
async def test_content_that_does_not_decode_is_refused_without_a_trace(
    tmp_path: Path, content: bytes, why: str
) -> None:
    with pytest.raises(InputRejected, match=why) as caught:
        await send(uploads_in(tmp_path), content, field="first_image_file")

    assert caught.value.metadata["field"] == "first_image_file"
    assert names_below(tmp_path) == []


@pytest.mark.parametrize(
    "promise", [{"size_bytes": 10}, {"size_bytes": 10**6}, {"sha256": "0" * 64}]
)
async def test_a_broken_promise_is_refused_without_a_trace(
    tmp_path: Path, promise: dict[str, Any]
) -> None:
    with pytest.raises(ChecksumMismatch):
        await send(uploads_in(tmp_path), still(), **promise)

    assert names_below(tmp_path) == []


async def test_an_upload_is_cut_off_at_the_limit_without_a_trace(tmp_path: Path) -> None:
    uploads = uploads_in(tmp_path, max_bytes=2 * FLUSH_BYTES)

    async with uploads.receive() as sink:
        await sink.write(bytes(FLUSH_BYTES))
        await sink.write(bytes(FLUSH_BYTES))
        with pytest.raises(UploadTooLarge):
            await sink.write(b"!")

    assert names_below(tmp_path) == []


async def test_a_promise_beyond_the_limit_is_refused_before_a_byte_is_read(tmp_path: Path) -> None:
    with pytest.raises(UploadTooLarge):
        async with uploads_in(tmp_path).receive(size_bytes=MAX_BYTES + 1):
            pytest.fail("the block was entered")


async def test_an_upload_that_is_left_unfinished_leaves_no_trace(tmp_path: Path) -> None:
    async with uploads_in(tmp_path).receive() as sink:
        await sink.write(bytes(FLUSH_BYTES))
        assert names_below(tmp_path) != []

    assert names_below(tmp_path) == []


async def test_a_caller_that_goes_away_while_its_file_is_checked_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    uploads = uploads_in(tmp_path)

    def slow_clock() -> datetime:
        loop.call_soon_threadsafe(checking.set)
        go_on.wait()
        return NOW

    monkeypatch.setattr(uploads, "_clock", slow_clock)
    sending = asyncio.create_task(send(uploads, still()))
    await checking.wait()

    sending.cancel()
    loop.call_soon(go_on.set)

    with pytest.raises(asyncio.CancelledError):
        await sending
    assert names_below(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
async def test_a_disk_that_refuses_is_told_as_such_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.fsync", refuse)

    with pytest.raises(StorageFull):
        await send(uploads_in(tmp_path), still())

    assert names_below(tmp_path) == []


@pytest.mark.parametrize(
    "upload_id",
    [
        "",
        "..",
        "../tasks",
        "upload_../../../etc/passwd",
        "upload_" + "a" * 26,
        "upload_" + "A" * 26,
        "upload_" + "a" * 26 + ".part",
        "upload_" + "a" * 25 + "\n",
        "\0",
        "x" * 10_000,
    ],
)
async def test_an_id_that_is_none_is_not_found_and_not_repeated_at_length(
    tmp_path: Path, upload_id: str
) -> None:
    with pytest.raises(UploadNotFound) as caught:
        uploads_in(tmp_path).path(upload_id)

    assert len(caught.value.message) < 200


async def test_an_upload_in_the_making_cannot_be_read(tmp_path: Path) -> None:
    uploads = uploads_in(tmp_path)

    async with uploads.receive() as sink:
        await sink.write(noise())
        await sink.write(bytes(FLUSH_BYTES))
        (folder,) = (tmp_path / "uploads").iterdir()
        for upload_id in (folder.name, folder.stem):
            with pytest.raises(UploadNotFound):
                uploads.path(upload_id)


async def test_ids_are_long_random_and_fit_their_pattern(tmp_path: Path) -> None:
    uploads = uploads_in(tmp_path)

    first, second = await send(uploads, still()), await send(uploads, still())

    assert first.id != second.id
    assert first.id.startswith("upload_")
    assert len(first.id) == 33


async def test_a_sweep_takes_the_old_and_the_broken_and_leaves_the_new(tmp_path: Path) -> None:
    uploads = uploads_in(tmp_path)
    old, new = await send(uploads, still()), await send(uploads, still())
    broken = tmp_path / "uploads" / ("upload_" + "b" * 26 + ".part")
    broken.mkdir()
    long_ago = datetime(2001, 1, 1, tzinfo=UTC).timestamp()
    for path in (uploads.path(old.id).parent, broken):
        for each in (*path.iterdir(), path):
            os.utime(each, (long_ago, long_ago))

    count = await uploads.sweep(datetime(2002, 1, 1, tzinfo=UTC))

    assert count == 2
    assert not broken.exists()
    assert uploads.path(new.id).is_file()
    with pytest.raises(UploadNotFound):
        uploads.read(old.id)


async def test_a_sweep_before_the_first_upload_finds_nothing(tmp_path: Path) -> None:
    assert await uploads_in(tmp_path).sweep(NOW) == 0
