"""Inputs: what a request may say of its media, and that a refusal leaves nothing on the disk."""

import asyncio
import base64
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.domain.sizes import InputLimits
from telefuser_grpc.errors import (
    InputRejected,
    InvalidRequest,
    StorageFull,
    UploadNotFound,
    UploadTooLarge,
    UrlNotAccessible,
)
from telefuser_grpc.media import inputs as inputs_module
from telefuser_grpc.media import server_files
from telefuser_grpc.media.downloads import Downloads
from telefuser_grpc.media.inputs import LocalMediaInputs
from telefuser_grpc.media.uploads import LocalUploads
from telefuser_grpc.pipeline.probe import ProbeLimits
from telefuser_grpc.storage.artifacts import LocalArtifactStore
from tests.fakes.builders import make_task
from tests.fakes.media_files import mp4, noise, png_bomb, still, truncated, wav
from tests.fakes.web import Script, Web, answer

TASK = "task_1"
MAX_BYTES = 2**20


class Bench:
    """Inputs and uploads below one folder, with one folder of the server opened."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "root"
        self.opened = tmp_path / "opened"
        self.secret = tmp_path / "secret"
        for folder in (self.root, self.opened, self.secret):
            folder.mkdir()
        self.limits: dict[str, InputLimits] = {}
        limits = ProbeLimits(max_pixels=2**20)
        self.uploads = LocalUploads(self.root, max_bytes=MAX_BYTES, limits=limits)
        self.inputs = LocalMediaInputs(
            self.root,
            uploads=self.uploads,
            allowed_roots=[self.opened],
            max_bytes=MAX_BYTES,
            limits=limits,
            downloads=Downloads(max_bytes=MAX_BYTES, allow_private=True, ports=None),
        )

    async def take(self, **fields: Any) -> dict[str, str]:
        return await self.inputs.take(TASK, fields, limits=self.limits)

    async def upload(self, content: bytes) -> str:
        async with self.uploads.receive() as sink:
            await sink.write(content)
            return (await sink.finish()).id

    def content(self, name: str) -> bytes:
        return Path(LocalArtifactStore(self.root).input_path(TASK, name)).read_bytes()

    def files(self) -> list[str]:
        tasks = self.root / "tasks"
        return sorted(path.relative_to(tasks).as_posix() for path in tasks.rglob("*"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def data_url(content: bytes, type: str = "image/png") -> str:
    return f"data:{type};base64,{base64.b64encode(content).decode()}"


async def test_a_request_without_media_costs_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(inputs_module, "in_thread")

    taken = await bench.take(prompt="a cat", first_image_path="", audio_path=None)

    assert taken == {}
    assert list(bench.root.iterdir()) == []


async def test_a_data_url_becomes_a_file_of_the_task(bench: Bench) -> None:
    content = still("JPEG")

    taken = await bench.take(first_image_path=data_url(content, "image/png;name=lie.png"))

    name = taken["first_image_path"]
    assert name.startswith("first_image_path_")
    assert name.endswith(".jpg")
    assert bench.content(name) == content
    assert bench.files() == [TASK, f"{TASK}/inputs", f"{TASK}/inputs/{name}"]


async def test_bare_base64_becomes_a_file_of_the_task(bench: Bench) -> None:
    taken = await bench.take(first_image_path=base64.b64encode(still()).decode())

    assert bench.content(taken["first_image_path"]) == still()


async def test_an_upload_becomes_a_file_of_the_task_without_a_copy(bench: Bench) -> None:
    upload_id = await bench.upload(mp4())

    taken = await bench.take(ref_video_path=f"upload:{upload_id}")

    (stored,) = (bench.root / "tasks" / TASK / "inputs").iterdir()
    assert stored.name == taken["ref_video_path"]
    assert stored.suffix == ".mp4"
    assert stored.samefile(bench.uploads.path(upload_id))


async def test_an_upload_that_cannot_be_linked_is_copied(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(target: Path, source: Path) -> None:
        raise OSError(errno.EXDEV, "another file system")

    upload_id = await bench.upload(still())
    monkeypatch.setattr(Path, "hardlink_to", refuse)

    taken = await bench.take(first_image_path=f"upload:{upload_id}")

    assert bench.content(taken["first_image_path"]) == still()


async def test_an_input_outlives_the_sweep_of_its_upload(bench: Bench) -> None:
    upload_id = await bench.upload(still())
    taken = await bench.take(first_image_path=f"upload:{upload_id}")
    folder = bench.uploads.path(upload_id).parent
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()

    assert bench.content(taken["first_image_path"]) == still()


async def test_a_file_in_an_opened_folder_is_copied(bench: Bench) -> None:
    source = bench.opened / "sub" / "clip.without-ending"
    source.parent.mkdir()
    source.write_bytes(mp4())

    taken = await bench.take(ref_video_path=str(source))

    source.write_bytes(b"changed afterwards")
    assert taken["ref_video_path"].endswith(".mp4")
    assert bench.content(taken["ref_video_path"]) == mp4()


async def test_every_field_takes_what_it_is_for(bench: Bench) -> None:
    taken = await bench.take(
        first_image_path=data_url(still("WEBP")),
        last_image_path=data_url(still("GIF")),
        ref_video_path=data_url(mp4()),
        audio_path=data_url(wav()),
    )

    suffixes = {field: name.rpartition(".")[2] for field, name in taken.items()}
    assert suffixes == {
        "first_image_path": "webp",
        "last_image_path": "gif",
        "ref_video_path": "mp4",
        "audio_path": "wav",
    }


async def test_the_sound_may_come_from_a_video(bench: Bench) -> None:
    taken = await bench.take(audio_path=data_url(mp4(with_sound=True)))

    assert taken["audio_path"].endswith(".mp4")


@pytest.mark.parametrize(
    ("field", "content", "remedy"),
    [
        ("first_image_path", mp4(), "send an image"),
        ("last_image_path", wav(), "send an image"),
        ("ref_video_path", still(), "send a video"),
        ("ref_video_path", wav(), "send a video"),
        ("audio_path", still(), "send a sound"),
        ("audio_path", mp4(), "send one with sound"),
    ],
)
async def test_media_of_the_wrong_kind_is_refused_without_a_trace(
    bench: Bench, field: str, content: bytes, remedy: str
) -> None:
    upload_id = await bench.upload(content)

    for reference in (data_url(content), f"upload:{upload_id}"):
        with pytest.raises(InputRejected, match=remedy) as caught:
            await bench.take(**{field: reference})
        assert [each.field for each in caught.value.violations] == [field]

    assert bench.files() == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"text that calls itself a picture", "known format"),
        (truncated(noise(width=64, height=64)), "damaged"),
        (png_bomb(), "pixels"),
    ],
)
async def test_media_that_does_not_decode_is_refused_without_a_trace(
    bench: Bench, content: bytes, why: str
) -> None:
    (bench.opened / "a.png").write_bytes(content)

    for reference in (data_url(content), str(bench.opened / "a.png")):
        with pytest.raises(InputRejected, match=why):
            await bench.take(first_image_path=reference)

    assert bench.files() == []


async def test_a_cut_off_video_is_refused_without_a_trace(bench: Bench) -> None:
    with pytest.raises(InputRejected, match=r"ref_video_path: is (damaged|cut off)"):
        await bench.take(ref_video_path=data_url(truncated(mp4(frames=40))))

    assert bench.files() == []


async def test_media_beyond_the_limit_is_refused_without_a_trace(bench: Bench) -> None:
    too_large = bytes(MAX_BYTES + 1)
    (bench.opened / "a.png").write_bytes(too_large)

    for reference in (data_url(too_large), str(bench.opened / "a.png")):
        with pytest.raises(UploadTooLarge) as caught:
            await bench.take(first_image_path=reference)
        assert caught.value.metadata["limit_bytes"] == str(MAX_BYTES)

    assert bench.files() == []


async def test_media_beyond_what_the_contract_takes_are_refused_without_a_trace(
    bench: Bench,
) -> None:
    bench.limits = {"first_image_path": InputLimits(max_pixels=10)}
    (bench.opened / "a.png").write_bytes(still())
    upload_id = await bench.upload(still())

    for reference in (data_url(still()), f"upload:{upload_id}", str(bench.opened / "a.png")):
        with pytest.raises(InputRejected, match="scale it down"):
            await bench.take(first_image_path=reference)

    assert bench.files() == []
    assert await bench.take(last_image_path=data_url(still()))


async def test_one_bad_field_takes_the_good_ones_with_it(bench: Bench) -> None:
    with pytest.raises(InputRejected, match="last_image_path"):
        await bench.take(first_image_path=data_url(still()), last_image_path=data_url(b"no"))

    assert bench.files() == []


async def test_a_refusal_leaves_what_was_there_before(bench: Bench) -> None:
    taken = await bench.take(first_image_path=data_url(still()))

    with pytest.raises(InputRejected):
        await bench.take(first_image_path=data_url(b"no"))

    assert bench.content(taken["first_image_path"]) == still()


async def test_an_address_becomes_a_file_of_the_task(bench: Bench) -> None:
    async with Web(answers={"/lie.png?signature=a": answer(still("JPEG"))}) as web:
        taken = await bench.take(
            first_image_path=f"HTTP://127.0.0.1:{web.port}/lie.png?signature=a"
        )

    name = taken["first_image_path"]
    assert name.endswith(".jpg")
    assert bench.content(name) == still("JPEG")
    assert bench.files() == [TASK, f"{TASK}/inputs", f"{TASK}/inputs/{name}"]


async def test_addresses_of_one_base_name_never_overwrite_each_other(bench: Bench) -> None:
    contents = {"/a/image.jpg": still(width=9), "/b/image.jpg": still(width=10)}

    async with Web(answers={path: answer(each) for path, each in contents.items()}) as web:
        first, last = (f"http://127.0.0.1:{web.port}{path}" for path in contents)
        taken = await bench.take(first_image_path=first, last_image_path=last)
        again = await bench.inputs.take("task_2", {"first_image_path": last}, limits={})

    stored = [bench.content(taken[field]) for field in ("first_image_path", "last_image_path")]
    assert stored == list(contents.values())
    other = LocalArtifactStore(bench.root).input_path("task_2", again["first_image_path"])
    assert Path(other).read_bytes() == contents["/b/image.jpg"]


async def test_addresses_are_fetched_side_by_side_and_mix_with_other_media(bench: Bench) -> None:
    both = asyncio.Barrier(2)

    def meeting(content: bytes) -> Script:
        async def script(writer: asyncio.StreamWriter) -> None:
            await both.wait()
            writer.write(answer(content))
            await writer.drain()

        return script

    async with Web(answers={"/a": meeting(still()), "/b": meeting(mp4())}) as web:
        taken = await bench.take(
            first_image_path=f"http://127.0.0.1:{web.port}/a",
            last_image_path=data_url(still("GIF")),
            ref_video_path=f"http://127.0.0.1:{web.port}/b",
        )

    suffixes = {field: name.rpartition(".")[2] for field, name in taken.items()}
    assert suffixes == {
        "first_image_path": "png",
        "last_image_path": "gif",
        "ref_video_path": "mp4",
    }


async def test_a_failed_download_ends_the_others_and_leaves_no_trace(bench: Bench) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(answer(content_length=MAX_BYTES) + still())
        began.set()
        await writer.wait_closed()
        ended.set()

    async def missing(writer: asyncio.StreamWriter) -> None:
        await began.wait()
        writer.write(answer(status=404))

    async with Web(answers={"/endless": endless, "/missing": missing}) as web:
        with pytest.raises(UrlNotAccessible, match="last_image_path URL is not accessible"):
            await bench.take(
                first_image_path=f"http://127.0.0.1:{web.port}/endless",
                last_image_path=f"http://127.0.0.1:{web.port}/missing",
                ref_video_path=data_url(mp4()),
            )

    assert bench.files() == []


async def test_a_caller_that_leaves_a_download_leaves_no_trace(bench: Bench) -> None:
    began = asyncio.Event()

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(answer(content_length=MAX_BYTES) + still())
        began.set()
        await asyncio.Event().wait()

    async with Web(answers={"/a": endless}) as web:
        taking = asyncio.create_task(bench.take(first_image_path=f"http://127.0.0.1:{web.port}/a"))
        await began.wait()
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking

    assert bench.files() == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer(status=403), "URL is not accessible: its host answers 403"),
        (answer(b"<!DOCTYPE html><title>Log in</title>"), "is a web page"),
        (answer(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "SVG drawing"),
        (answer(b""), "is empty"),
        (answer(truncated(noise(width=64, height=64))), "is damaged"),
        (answer(png_bomb()), "pixels"),
        (answer(mp4()), "send an image"),
        (answer(bytes(MAX_BYTES + 1)), "larger than"),
    ],
    ids=["403", "page", "svg", "empty", "damaged", "bomb", "video", "large"],
)
async def test_what_an_address_holds_is_checked_like_all_media(
    bench: Bench, said: bytes, why: str
) -> None:
    async with Web(answers={"/a.png": said}) as web:
        with pytest.raises(InputRejected, match=why) as caught:
            await bench.take(first_image_path=f"http://127.0.0.1:{web.port}/a.png")

    assert [each.field for each in caught.value.violations] == ["first_image_path"]
    assert bench.files() == []


async def test_no_address_is_fetched_for_a_request_with_another_fault(bench: Bench) -> None:
    async with Web(answers={"/a.png": answer(still())}) as web:
        url = f"http://127.0.0.1:{web.port}/a.png"
        for fault in (data_url(b"no"), "/etc/passwd", 7, "ftp://a/b"):
            with pytest.raises(InputRejected, match="last_image_path"):
                await bench.take(first_image_path=url, last_image_path=fault)

    assert web.requests == []
    assert bench.files() == []


async def test_private_addresses_are_refused_unless_an_operator_opens_them(bench: Bench) -> None:
    async with Web(answers={"/a.png": answer(still())}) as web:
        inputs = LocalMediaInputs(
            bench.root,
            uploads=bench.uploads,
            allowed_roots=[],
            max_bytes=MAX_BYTES,
            limits=ProbeLimits(),
        )
        for host in (f"127.0.0.1:{web.port}", "127.0.0.1", "169.254.169.254", "[::1]"):
            with pytest.raises(UrlNotAccessible):
                await inputs.take(TASK, {"first_image_path": f"http://{host}/a.png"}, limits={})

    assert web.requests == []
    assert bench.files() == []


@pytest.mark.parametrize("upload_id", ["", "upload_" + "a" * 26, "../../etc/passwd"])
async def test_an_unknown_upload_is_not_found(bench: Bench, upload_id: str) -> None:
    with pytest.raises(UploadNotFound):
        await bench.take(first_image_path=f"upload:{upload_id}")

    assert bench.files() == []


@pytest.mark.parametrize("value", [7, True, ["a"], {"url": "a"}])
async def test_a_reference_must_be_text(bench: Bench, value: Any) -> None:
    with pytest.raises(InputRejected, match="must be text"):
        await bench.take(first_image_path=value)


async def test_paths_outside_and_absent_ones_get_the_same_answer(bench: Bench) -> None:
    hidden = bench.secret / "a.png"
    hidden.write_bytes(still())
    (bench.opened / "link.png").symlink_to(hidden)
    (bench.opened / "folder").symlink_to(bench.secret)
    (bench.opened / "loop").symlink_to(bench.opened / "loop")
    sibling = bench.opened.with_name("opened-too")
    sibling.mkdir()
    (sibling / "a.png").write_bytes(still())
    os.mkfifo(bench.opened / "pipe.png")
    references = [
        hidden,
        bench.secret / "absent.png",
        bench.opened / "absent.png",
        bench.opened / ".." / "secret" / "a.png",
        bench.opened / "link.png",
        bench.opened / "folder" / "a.png",
        bench.opened / "loop",
        bench.opened / "pipe.png",
        bench.opened,
        sibling / "a.png",
        "/etc/passwd",
        "/dev/zero",
        bench.opened / ".." / "opened",
        bench.opened / "absent" / ".." / "absent.png",
        "a.png",
        "\0",
        "\ud800",
        "x" * 100_000,
    ]

    messages = set()
    for reference in references:
        with pytest.raises(InputRejected) as caught:
            await bench.take(first_image_path=str(reference))
        messages.add(caught.value.message)

    (message,) = messages
    assert "TELEFUSER_ALLOWED_MEDIA_ROOTS" in message
    assert str(bench.opened) not in message
    assert bench.files() == []


async def test_a_folder_on_the_way_that_becomes_a_link_leads_nowhere(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = bench.opened / "sub" / "a.png"
    inside.parent.mkdir()
    inside.write_bytes(still())
    (bench.secret / "a.png").write_bytes(still("GIF"))
    realpath = os.path.realpath

    def swapped(path: str, *, strict: bool = False) -> str:
        found = realpath(path, strict=strict)
        if path == str(inside):
            inside.parent.rename(bench.opened / "moved")
            inside.parent.symlink_to(bench.secret)
        return found

    monkeypatch.setattr(os.path, "realpath", swapped)

    with pytest.raises(InputRejected) as caught:
        await bench.take(first_image_path=str(inside))

    assert server_files.REFUSAL in caught.value.message
    assert inside.parent.is_symlink()
    assert bench.files() == []


async def test_refused_paths_leave_no_file_open(bench: Bench) -> None:
    (bench.opened / "folder").mkdir()
    os.mkfifo(bench.opened / "pipe.png")
    (bench.opened / "large.png").write_bytes(bytes(MAX_BYTES + 1))
    open_before = len(list(Path("/proc/self/fd").iterdir()))

    for name in ("folder", "pipe.png", "large.png", "absent.png", "folder/absent.png"):
        with pytest.raises(InputRejected):
            await bench.take(first_image_path=str(bench.opened / name))

    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


async def test_a_link_inside_an_opened_folder_may_be_followed(bench: Bench) -> None:
    (bench.opened / "real.png").write_bytes(still())
    (bench.opened / "link.png").symlink_to("real.png")

    taken = await bench.take(first_image_path=str(bench.opened / "link.png"))

    assert bench.content(taken["first_image_path"]) == still()


async def test_an_opened_folder_may_itself_be_a_link(bench: Bench, tmp_path: Path) -> None:
    (bench.opened / "a.png").write_bytes(still())
    (tmp_path / "alias").symlink_to(bench.opened)
    inputs = LocalMediaInputs(
        bench.root,
        uploads=bench.uploads,
        allowed_roots=[tmp_path / "alias"],
        max_bytes=MAX_BYTES,
        limits=ProbeLimits(),
    )

    taken = await inputs.take(
        TASK, {"first_image_path": str(tmp_path / "alias" / "a.png")}, limits={}
    )

    assert bench.content(taken["first_image_path"]) == still()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
async def test_a_disk_that_refuses_is_told_as_such_without_a_trace(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "rename", refuse)

    with pytest.raises(StorageFull):
        await bench.take(first_image_path=data_url(still()))

    assert bench.files() == []


async def test_a_caller_that_goes_away_leaves_no_trace(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    probing, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    probe = inputs_module.probe

    def slow_probe(path: Path, *, limits: ProbeLimits) -> Any:
        loop.call_soon_threadsafe(probing.set)
        go_on.wait()
        return probe(path, limits=limits)

    monkeypatch.setattr(inputs_module, "probe", slow_probe)
    taking = asyncio.create_task(bench.take(first_image_path=data_url(still())))
    await probing.wait()

    taking.cancel()
    loop.call_soon(go_on.set)

    with pytest.raises(asyncio.CancelledError):
        await taking
    assert bench.files() == []


async def test_dropping_removes_the_inputs_and_an_empty_task_folder(bench: Bench) -> None:
    await bench.take(first_image_path=data_url(still()))

    await bench.inputs.drop(TASK)

    assert bench.files() == []


async def test_dropping_leaves_everything_else_of_the_task(bench: Bench) -> None:
    await bench.take(first_image_path=data_url(still()))
    (bench.root / "tasks" / TASK / "outputs").mkdir()

    await bench.inputs.drop(TASK)

    assert bench.files() == [TASK, f"{TASK}/outputs"]


async def test_dropping_what_is_not_there_is_no_fault(bench: Bench) -> None:
    await bench.inputs.drop(TASK)

    assert bench.files() == []


async def test_refusals_never_name_a_folder_of_the_server(bench: Bench) -> None:
    references = [data_url(b"no"), "upload:x", str(bench.opened / "absent.png"), "http://a/b"]

    for reference in references:
        with pytest.raises((InvalidRequest, UploadNotFound)) as caught:
            await bench.take(first_image_path=reference)
        assert str(bench.root) not in str(caught.value)


async def test_shared_inputs_are_the_same_files_without_a_second_fetch(bench: Bench) -> None:
    async with Web(answers={"/a.png": answer(still())}) as web:
        names = await bench.take(first_image_path=f"http://127.0.0.1:{web.port}/a.png")

        shared = await bench.inputs.share("task_2", make_task(TASK, inputs=names))

    first, second = (bench.root / "tasks" / each / "inputs" for each in (TASK, "task_2"))
    assert shared == names
    assert len(web.requests) == 1
    for name in names.values():
        assert (second / name).read_bytes() == (first / name).read_bytes()
    assert len(list(second.iterdir())) == len(names)


async def test_inputs_that_are_gone_are_not_shared_and_leave_nothing(bench: Bench) -> None:
    names = await bench.take(first_image_path=data_url(still()))
    await bench.inputs.drop(TASK)

    assert await bench.inputs.share("task_2", make_task(TASK, inputs=names)) == {}
    assert bench.files() == []
