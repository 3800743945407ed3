"""Only whole files of the job's own folder and type are taken from a replica."""

from dataclasses import replace
from pathlib import Path

import pytest

from telefuser_grpc.domain.artifact import MediaFacts, OutputFile
from telefuser_grpc.domain.job import Job
from telefuser_grpc.errors import OutputInvalid
from telefuser_grpc.workers.outputs import check_outputs
from tests.workers.local_pool import make_job

CONTENT = b"pixels"
SECRET = Path("/etc/passwd")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return make_job(folder=folder)


def made(
    job: Job, name: str = "a.png", *, path: Path | None = None, content_type: str = "image/png"
) -> OutputFile:
    """Returns what a replica tells of a file, which is written unless it lies elsewhere."""
    if path is None:
        path = Path(job.output_folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
    return OutputFile(
        path=str(path),
        name=name,
        size_bytes=len(CONTENT),
        sha256="0" * 64,
        facts=MediaFacts(content_type=content_type),
    )


def test_files_in_the_jobs_folder_are_taken(job: Job) -> None:
    check_outputs([made(job), made(job, "images/b.png")], job)


def test_a_file_outside_of_the_jobs_folder_is_refused(job: Job, tmp_path: Path) -> None:
    (tmp_path / "other.png").write_bytes(CONTENT)
    others = [SECRET, tmp_path / "other.png", Path(job.output_folder, "..", "other.png")]

    for path in others:
        with pytest.raises(OutputInvalid, match="outside of its folder") as refusal:
            check_outputs([made(job, path=path)], job)
        assert str(path) not in refusal.value.message


def test_a_file_below_a_linked_folder_is_refused(job: Job, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.png").write_bytes(CONTENT)
    Path(job.output_folder, "linked").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OutputInvalid, match="outside of its folder"):
        check_outputs([made(job, path=Path(job.output_folder, "linked", "a.png"))], job)


def test_a_link_is_refused(job: Job) -> None:
    link = Path(job.output_folder, "a.png")
    link.symlink_to(SECRET)

    with pytest.raises(OutputInvalid, match="is a link or no file"):
        check_outputs([made(job, path=link)], job)


def test_a_folder_is_refused(job: Job) -> None:
    folder = Path(job.output_folder, "a.png")
    folder.mkdir()

    with pytest.raises(OutputInvalid, match="is a link or no file"):
        check_outputs([made(job, path=folder)], job)


def test_a_file_that_is_gone_is_refused(job: Job) -> None:
    file = made(job)
    Path(file.path).unlink()

    with pytest.raises(OutputInvalid, match=r"'a\.png' is missing"):
        check_outputs([file], job)


@pytest.mark.parametrize("content", [b"", b"less", b"much more than that"])
def test_a_file_of_another_size_than_reported_is_refused(job: Job, content: bytes) -> None:
    file = made(job)
    Path(file.path).write_bytes(content)

    with pytest.raises(OutputInvalid, match="bytes, reported were 6"):
        check_outputs([file], job)


def test_an_empty_file_is_refused_even_if_reported_as_such(job: Job) -> None:
    file = replace(made(job), size_bytes=0)
    Path(file.path).write_bytes(b"")

    with pytest.raises(OutputInvalid, match="has 0 bytes"):
        check_outputs([file], job)


@pytest.mark.parametrize("name", ["", "/a.png", "../a.png", "images/../../a.png", "a\0.png"])
def test_a_name_that_leaves_the_outputs_is_refused(job: Job, name: str) -> None:
    file = replace(made(job), name=name)

    with pytest.raises(OutputInvalid, match="a name that none may have"):
        check_outputs([file], job)


def test_two_files_of_one_name_are_refused(job: Job) -> None:
    with pytest.raises(OutputInvalid, match="two files of one name"):
        check_outputs([made(job), made(job)], job)


def test_a_result_without_a_file_is_refused(job: Job) -> None:
    with pytest.raises(OutputInvalid, match="reported no file"):
        check_outputs([], job)


def test_a_file_of_a_task_that_makes_none_is_refused(job: Job) -> None:
    with pytest.raises(OutputInvalid, match="a task that makes none"):
        check_outputs([made(job)], make_job())


@pytest.mark.parametrize(
    ("media_type", "content_type"),
    [("image", "image/webp"), ("video", "video/webm"), ("video", "image/gif")],
)
def test_what_the_task_makes_is_taken(job: Job, media_type: str, content_type: str) -> None:
    check_outputs([made(job, content_type=content_type)], replace(job, media_type=media_type))


@pytest.mark.parametrize(
    ("media_type", "content_type"),
    [("image", "video/mp4"), ("video", "image/png"), ("video", "audio/mpeg")],
)
def test_what_the_task_does_not_make_is_refused(
    job: Job, media_type: str, content_type: str
) -> None:
    file = made(job, content_type=content_type)

    with pytest.raises(OutputInvalid) as refusal:
        check_outputs([file], replace(job, media_type=media_type))

    assert refusal.value.message == (
        f"The result 'a.png' is {content_type}, the task makes a {media_type}"
    )
