"""A task as a video: what is told before and after it is made."""

from dataclasses import replace
from typing import Any

import pytest

from telefuser_grpc.domain.artifact import MediaFacts
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.server.openai.video_object import video_object
from tests.fakes.builders import ended, make_artifact, make_task, started

ASKED = {"openai_video_size": "1280x720", "width": 1280, "height": 720, "target_video_length": 8}


def told(task: Task, *, kept_seconds: float = 0.0) -> dict[str, Any]:
    return video_object(task, url="/content", kept_seconds=kept_seconds)


def made(task: Task, seconds: float = 13.4) -> Task:
    """Returns a task that has made a film of 1280x704."""
    facts = MediaFacts(content_type="video/mp4", width=1280, height=704, duration_seconds=seconds)
    return replace(ended(started(task)), artifacts=(make_artifact(task.id, facts=facts),))


def test_size_is_the_one_asked_for_until_the_video_has_one() -> None:
    task = make_task(fields=ASKED)

    assert told(task)["size"] == told(started(task))["size"] == "1280x720"
    assert told(made(task))["size"] == "1280x704"


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"openai_video_size": "4k", "width": 3840, "height": 2160}, "4k"),
        ({"resolution": "480p"}, "854x480"),
        ({"resolution": "1080p"}, "1920x1080"),
        ({"resolution": "2160p"}, "3840x2160"),
        ({"resolution": "720p", "width": 832, "height": 464}, "832x464"),
        ({"resolution": "huge"}, "1024x576"),
        ({}, "1024x576"),
    ],
)
def test_size_of_a_task_is_read_from_what_it_was_asked_for_with(
    fields: dict[str, Any], size: str
) -> None:
    assert told(make_task(fields=fields))["size"] == size


@pytest.mark.parametrize(
    ("kind", "length", "seconds"),
    [("t2v", 13.4, "8"), ("i2v", 13.4, "8"), ("vc", 13.4, "13"), ("vc", 0.2, "1"), ("vc", 0, "8")],
)
def test_seconds_of_a_continued_video_are_those_of_the_whole(
    kind: str, length: float, seconds: str
) -> None:
    task = make_task(kind=kind, fields=ASKED)

    assert told(task)["seconds"] == "8"
    assert told(made(task, length))["seconds"] == seconds


def test_video_expires_so_long_after_its_end_as_it_is_kept() -> None:
    task = made(make_task())

    video = told(task, kept_seconds=3600)

    assert video["expires_at"] == video["completed_at"] + 3600
    assert told(task)["expires_at"] is None


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.CANCELLED])
def test_video_that_was_not_made_has_no_times_and_no_link(state: TaskState) -> None:
    video = told(ended(started(make_task()), state), kept_seconds=3600)

    assert (video["completed_at"], video["expires_at"], video["url"]) == (None, None, None)


def test_file_is_told_of_without_where_the_server_keeps_it() -> None:
    video = told(made(make_task("task_1")))

    assert video["artifact_id"] == video["artifact_metadata"]["artifact_id"]
    assert video["artifact_metadata"]["relative_path"] == "tasks/task_1/outputs/videos/task_1.mp4"
    assert "file_path" not in video
