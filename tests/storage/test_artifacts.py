"""The local artifact store, on a real disk."""

import asyncio
import errno
import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from telefuser_grpc.domain.artifact import Artifact, MediaFacts, OutputFile
from telefuser_grpc.errors import AccessDenied, ArtifactNotFound, OutputInvalid, StorageFull
from telefuser_grpc.scheduler.ports import Derivation
from telefuser_grpc.storage.artifacts import LocalArtifactStore
from tests.fakes.builders import NOW, make_artifact

FACTS = MediaFacts(content_type="video/mp4", width=64, height=64, frame_count=8)


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(tmp_path, clock=lambda: NOW)


def output(path: Path, name: str = "") -> OutputFile:
    """Describes a file as a replica does."""
    content = path.read_bytes() if path.is_file() else b""
    return OutputFile(
        path=str(path),
        name=name or path.name,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        facts=FACTS,
    )


async def made(store: LocalArtifactStore, name: str = "a.mp4", content: bytes = b"film") -> Path:
    """Writes a file into the first attempt's scratch folder of task_1."""
    path = Path(await store.prepare("task_1", 1)) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


async def test_each_attempt_has_an_empty_scratch_folder(
    store: LocalArtifactStore, tmp_path: Path
) -> None:
    first = Path(await store.prepare("task_1", 1))
    (first / "left.over").touch()

    second = Path(await store.prepare("task_1", 2))
    again = Path(await store.prepare("task_1", 1))

    assert first == again == tmp_path / "tasks/task_1/tmp/1"
    assert second == tmp_path / "tasks/task_1/tmp/2"
    assert not list(again.iterdir())


@pytest.mark.parametrize(("media_type", "folder"), [("video", "videos"), ("image", "images")])
async def test_adopted_file_lies_in_the_outputs(
    store: LocalArtifactStore, tmp_path: Path, media_type: str, folder: str
) -> None:
    made_file = output(await made(store))

    artifacts = await store.adopt("task_1", media_type, [made_file])

    assert artifacts == (
        Artifact(
            task_id="task_1",
            path=f"tasks/task_1/outputs/{folder}/a.mp4",
            size_bytes=4,
            sha256=hashlib.sha256(b"film").hexdigest(),
            created_at=NOW,
            facts=FACTS,
        ),
    )
    assert (tmp_path / artifacts[0].path).read_bytes() == b"film"
    assert not Path(made_file.path).exists()


async def test_adopt_makes_the_folders_of_a_name(store: LocalArtifactStore, tmp_path: Path) -> None:
    made_file = output(await made(store), "trailers/2026/a.mp4")

    (artifact,) = await store.adopt("task_1", "video", [made_file])

    assert artifact.name == "trailers/2026/a.mp4"
    assert (tmp_path / artifact.path).is_file()


async def test_adopt_takes_several_files_in_order(store: LocalArtifactStore) -> None:
    folder = (await made(store, "0.png")).parent
    for number in (1, 2):
        (folder / f"{number}.png").write_bytes(b"p")
    files = [output(folder / f"{number}.png") for number in (2, 0, 1)]

    artifacts = await store.adopt("task_1", "image", files)

    assert [artifact.filename for artifact in artifacts] == ["2.png", "0.png", "1.png"]


async def test_adopt_syncs_the_file_before_its_name_and_then_every_folder(
    store: LocalArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_file = output(await made(store), "trailers/a.mp4")
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
    )

    await store.adopt("task_1", "video", [made_file])

    inside = ["", "/tasks", "/tasks/task_1", "/tasks/task_1/outputs"]
    inside += ["/tasks/task_1/outputs/videos", "/tasks/task_1/outputs/videos/trailers"]
    assert synced == [made_file.path, *(f"{tmp_path}{folder}" for folder in inside)]


async def test_later_attempt_replaces_what_a_dead_one_left(
    store: LocalArtifactStore, tmp_path: Path
) -> None:
    await store.adopt("task_1", "video", [output(await made(store))])

    (artifact,) = await store.adopt("task_1", "video", [output(await made(store, content=b"new"))])

    assert (tmp_path / artifact.path).read_bytes() == b"new"


@pytest.mark.parametrize("name", ["../a.mp4", "x/../../a.mp4", "/tmp/a.mp4", "", ".", "a\0.mp4"])
async def test_output_is_never_named_out_of_the_outputs(
    store: LocalArtifactStore, name: str
) -> None:
    made_file = output(await made(store))

    with pytest.raises(AccessDenied):
        await store.adopt("task_1", "video", [replace(made_file, name=name)])

    assert Path(made_file.path).exists()


async def test_link_is_no_output(store: LocalArtifactStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    link = Path(await store.prepare("task_1", 1)) / "a.mp4"
    link.symlink_to(secret)

    with pytest.raises(OutputInvalid):
        await store.adopt("task_1", "video", [output(link)])


async def test_folder_or_pipe_or_nothing_is_no_output(store: LocalArtifactStore) -> None:
    scratch = Path(await store.prepare("task_1", 1))
    (scratch / "folder.mp4").mkdir()
    os.mkfifo(scratch / "pipe.mp4")

    for name in ("folder.mp4", "pipe.mp4", "nothing.mp4"):
        with pytest.raises(OutputInvalid):
            await store.adopt("task_1", "video", [output(scratch / name)])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
async def test_disk_that_refuses_is_storage_full(
    store: LocalArtifactStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    made_file = output(await made(store))
    _refuse(monkeypatch, "mkdir", number)

    with pytest.raises(StorageFull):
        await store.prepare("task_2", 1)
    with pytest.raises(StorageFull):
        await store.adopt("task_1", "video", [made_file])

    monkeypatch.undo()
    assert await store.adopt("task_1", "video", [made_file])


async def test_other_faults_of_the_disk_are_not_called_full(
    store: LocalArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse(monkeypatch, "mkdir", errno.EACCES)

    with pytest.raises(PermissionError):
        await store.prepare("task_1", 1)


async def test_cancelled_adopt_has_ended_when_the_caller_goes_on(
    store: LocalArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_file = output(await made(store))
    entered, go_on = asyncio.Event(), Event()
    loop = asyncio.get_running_loop()

    def slow_sync(_: int) -> None:
        loop.call_soon_threadsafe(entered.set)
        go_on.wait(10)

    monkeypatch.setattr(os, "fsync", slow_sync)
    adopting = asyncio.create_task(store.adopt("task_1", "video", [made_file]))
    await entered.wait()
    adopting.cancel()
    loop.call_soon(go_on.set)

    with pytest.raises(asyncio.CancelledError):
        await adopting

    assert (tmp_path / "tasks/task_1/outputs/videos/a.mp4").exists()


async def test_discarding_scratch_leaves_inputs_and_outputs(
    store: LocalArtifactStore, tmp_path: Path
) -> None:
    (artifact,) = await store.adopt("task_1", "video", [output(await made(store))])
    image = Path(store.input_path("task_1", "first.png"))
    image.parent.mkdir()
    image.touch()
    await store.prepare("task_1", 2)

    await store.discard_scratch("task_1")

    assert not (tmp_path / "tasks/task_1/tmp").exists()
    assert image.exists()
    assert (tmp_path / artifact.path).exists()


async def test_deleted_task_leaves_nothing_of_its_own(
    store: LocalArtifactStore, tmp_path: Path
) -> None:
    await made(store)
    other = Path(await store.prepare("task_2", 1))

    await store.delete("task_1")

    assert not (tmp_path / "tasks/task_1").exists()
    assert other.exists()


async def test_reader_of_a_deleted_file_keeps_it(store: LocalArtifactStore) -> None:
    (artifact,) = await store.adopt("task_1", "video", [output(await made(store))])

    reading = os.open(await store.open_path(artifact), os.O_RDONLY)
    await store.delete("task_1")
    content = os.read(reading, 9)
    os.close(reading)

    assert content == b"film"
    with pytest.raises(ArtifactNotFound):
        await store.open_path(artifact)


async def test_folder_that_cannot_be_put_aside_is_removed_where_it_is(
    store: LocalArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made(store)
    _refuse(monkeypatch, "rename", errno.ENOSPC)

    await store.delete("task_1")

    assert not (tmp_path / "tasks/task_1").exists()


async def test_removing_what_is_not_there_is_no_error(store: LocalArtifactStore) -> None:
    await store.discard_scratch("task_1")
    await store.delete("task_1")


async def test_artifact_opens_by_an_absolute_path(store: LocalArtifactStore) -> None:
    (artifact,) = await store.adopt("task_1", "video", [output(await made(store))])

    path = Path(await store.open_path(artifact))

    assert path.is_absolute()
    assert path.read_bytes() == b"film"


async def test_artifact_whose_file_is_gone_is_not_found(store: LocalArtifactStore) -> None:
    with pytest.raises(ArtifactNotFound):
        await store.open_path(make_artifact("task_1"))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "tasks/task_1/outputs/../inputs/a.png", "tasks/task_2/outputs/a.mp4"]
)
async def test_artifact_of_another_place_is_denied(store: LocalArtifactStore, path: str) -> None:
    with pytest.raises(AccessDenied):
        await store.open_path(make_artifact("task_1", path=path))


async def test_link_that_leads_out_of_the_outputs_is_denied(
    store: LocalArtifactStore, tmp_path: Path
) -> None:
    (artifact,) = await store.adopt("task_1", "video", [output(await made(store))])
    (tmp_path / artifact.path).unlink()
    (tmp_path / artifact.path).symlink_to("/etc/passwd")

    with pytest.raises(AccessDenied):
        await store.open_path(artifact)


@pytest.mark.parametrize("task_id", ["", ".", "..", "../x", "a/b", "a\\b", "a\0b"])
async def test_task_id_is_never_a_path(store: LocalArtifactStore, task_id: str) -> None:
    with pytest.raises(AccessDenied):
        await store.delete(task_id)
    with pytest.raises(AccessDenied):
        await store.prepare(task_id, 1)
    with pytest.raises(AccessDenied):
        store.input_path(task_id, "a.png")


def test_input_stays_in_the_inputs(store: LocalArtifactStore, tmp_path: Path) -> None:
    path = store.input_path("task_1", "first.png")

    assert path == str(tmp_path / "tasks/task_1/inputs/first.png")
    with pytest.raises(AccessDenied):
        store.input_path("task_1", "../../task_2/inputs/first.png")


def _refuse(monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, call, refuse)


def copying(calls: list[str], *, fault: Exception | None = None) -> Derivation:
    """Returns a derivation that turns a file round, and notes what it was called with."""

    def make(source: str, target: str) -> None:
        calls.append(source)
        Path(target).write_bytes(Path(source).read_bytes()[::-1])
        if fault:
            raise fault

    return Derivation("round.jpg", "image/jpeg", make)


async def adopted(store: LocalArtifactStore) -> Artifact:
    (artifact,) = await store.adopt("task_1", "video", [output(await made(store))])
    return artifact


async def test_derived_file_is_made_once_and_can_be_opened(store: LocalArtifactStore) -> None:
    artifact, calls = await adopted(store), list[str]()

    first, again = await asyncio.gather(
        store.derived(artifact, copying(calls)), store.derived(artifact, copying(calls))
    )

    path = Path(await store.open_path(first))
    assert first == again
    assert len(calls) == 1
    assert path.read_bytes() == b"mlif"
    assert (first.task_id, first.size_bytes, path.suffix) == ("task_1", 4, ".jpg")
    assert first.sha256 == hashlib.sha256(b"mlif").hexdigest()
    assert first.facts.content_type == "image/jpeg"


async def test_derived_file_goes_with_its_task(store: LocalArtifactStore, tmp_path: Path) -> None:
    derived = await store.derived(await adopted(store), copying([]))

    await store.delete("task_1")

    assert not (tmp_path / derived.path).exists()


async def test_file_that_cannot_be_derived_leaves_nothing_and_is_tried_again(
    store: LocalArtifactStore, tmp_path: Path
) -> None:
    artifact, calls = await adopted(store), list[str]()

    with pytest.raises(OutputInvalid):
        await store.derived(artifact, copying(calls, fault=OutputInvalid("no")))
    left = list((tmp_path / "tasks/task_1/outputs/derived").iterdir())
    await store.derived(artifact, copying(calls))

    assert left == []
    assert len(calls) == 2


async def test_nothing_is_derived_of_a_task_that_is_gone(
    store: LocalArtifactStore, tmp_path: Path
) -> None:
    artifact = await adopted(store)
    await store.delete("task_1")

    with pytest.raises(ArtifactNotFound):
        await store.derived(artifact, copying([]))
    assert not (tmp_path / "tasks/task_1").exists()


async def test_task_that_goes_while_a_file_is_derived_does_not_come_back(
    store: LocalArtifactStore, tmp_path: Path
) -> None:
    artifact = await adopted(store)

    def make(source: str, target: str) -> None:
        shutil.rmtree(tmp_path / "tasks/task_1")
        Path(target).write_bytes(b"")

    with pytest.raises(ArtifactNotFound):
        await store.derived(artifact, Derivation("a.jpg", "image/jpeg", make))
    assert not (tmp_path / "tasks/task_1").exists()


async def test_disk_that_refuses_a_derived_file_is_full(store: LocalArtifactStore) -> None:
    artifact = await adopted(store)

    with pytest.raises(StorageFull):
        await store.derived(artifact, copying([], fault=OSError(errno.ENOSPC, "full")))
