"""Wan2.2-Animate, served with a tiny model."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.media_files import mp4, still, wav
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")


def film(*, frames: int = 2, **shape: Any) -> str:
    """Returns a clip of 8 frames a second as a data URL; two of them are four at 30."""
    content = mp4(frames=frames, **{"width": 64, "height": 48, **shape})
    return "data:video/mp4;base64," + base64.b64encode(content).decode()


PERSON = "data:image/png;base64," + base64.b64encode(still(width=40, height=80)).decode()
SPEECH = "data:audio/wav;base64," + base64.b64encode(wav(seconds=5)).decode()
ANIMATED = {
    "first_image_path": PERSON,
    "pose_video_path": film(),
    "face_video_path": film(width=32, height=32),
    "width": 64,
    "height": 64,
    "num_inference_steps": 2,
}
REPLACED = ANIMATED | {"ref_video_path": film(), "mask_video_path": film()}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.wan_animate import save_wan_animate

    folder = tmp_path_factory.mktemp("wan22_animate_14b")
    with serve("wan22_animate_14b.py", folder, save_wan_animate) as served:
        yield served


@pytest.mark.parametrize("asked", [ANIMATED, REPLACED], ids=["animate", "replace"])
def test_clip_has_the_shape_and_length_of_its_pose(served: Served, asked: dict[str, Any]) -> None:
    made = served.make(**asked)

    assert made.frames == [(64, 64)] * 4
    assert made.fps == 30
    assert made.steps == [1, 2]
    assert not made.has_sound
    assert "preview" in {event.name for event in made.events}


def test_steps_go_on_through_the_windows_of_a_long_clip(served: Served) -> None:
    long = {"pose_video_path": film(frames=22), "face_video_path": film(frames=22)}

    made = served.make(**ANIMATED | long | {"num_inference_steps": 1})

    assert len(made.frames) == 79, "22 frames at 8 fps"
    assert made.steps == [1, 2]


def test_result_is_as_long_as_the_shortest_clip(served: Served) -> None:
    made = served.make(**ANIMATED | {"face_video_path": film(frames=9)})

    assert len(made.frames) == 4


@pytest.mark.parametrize(
    "sound",
    [
        {"audio_path": SPEECH},
        {"audio_path": film(with_sound=True)},
        {"face_video_path": film(with_sound=True)},
    ],
    ids=["a sound", "the sound of a film", "that of the face"],
)
def test_sound_is_laid_under_the_result(served: Served, sound: dict[str, str]) -> None:
    made = served.make(**ANIMATED | sound)

    assert made.has_sound
    assert made.sound_seconds < 0.3, "five seconds are cut to a seventh of one"


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**ANIMATED, seed=7)
    other = served.make(**ANIMATED, seed=8)
    ended = served.cancel_at_first_step(**ANIMATED | {"num_inference_steps": 100})

    assert ended == "cancelled"
    assert served.make(**ANIMATED, seed=7).data == first.data != other.data


@pytest.mark.parametrize("field", ["face_video_path", "pose_video_path", "first_image_path"])
def test_request_without_one_of_its_media_is_refused(served: Served, field: str) -> None:
    answer = served.post(**ANIMATED | {field: ""}, task="animate")

    assert answer.status_code == 400
    assert field in answer.text


def test_picture_in_place_of_a_clip_is_refused(served: Served) -> None:
    answer = served.post(**ANIMATED | {"pose_video_path": PERSON})

    assert answer.status_code == 400
    assert "pose_video_path: is of type image/png; send a video" in answer.text


def test_clip_of_one_frame_says_what_to_change(served: Served) -> None:
    events = served.follow(served.create(**ANIMATED | {"face_video_path": film(frames=1)}))

    assert events[-1].data["status"] == "failed"
    assert "face_video_path" in str(events[-1].data)
    assert "send a clip" in str(events[-1].data)
