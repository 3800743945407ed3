"""Wan image-to-video, every file served with a tiny model."""

import base64
from collections.abc import Iterator

import pytest

from tests.fakes.media_files import still
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")


def picture(*, width: int, height: int) -> str:
    return "data:image/png;base64," + base64.b64encode(still(width=width, height=height)).decode()


TALL = picture(width=60, height=85)
CLIP = {
    "first_image_path": TALL,
    "width": 64,
    "height": 96,
    "num_frames": 5,
    "num_inference_steps": 3,
}
MODELS = {
    "wan21_i2v_14b_480p.py": "save_wan21_i2v",
    "wan21_i2v_14b_720p.py": "save_wan21_i2v",
    "wan22_i2v_a14b.py": "save_wan22_i2v",
}


@pytest.fixture(scope="module", params=MODELS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    from tests.pipelines.tiny import wan

    folder = tmp_path_factory.mktemp("wan_i2v")
    with serve(request.param, folder, getattr(wan, MODELS[request.param])) as served:
        yield served


def test_clip_has_the_size_and_frames_that_were_asked(served: Served) -> None:
    made = served.make(**CLIP)

    assert made.frames == [(64, 96)] * 5
    assert made.fps == 16
    assert made.steps == [1, 2, 3]
    assert "preview" in {event.name for event in made.events}


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)
    ended = served.cancel_at_first_step(**CLIP | {"num_inference_steps": 100})

    assert served.make(**CLIP, seed=7).data == first.data != other.data
    assert ended == "cancelled"


def test_clip_without_a_picture_is_refused(served: Served) -> None:
    answer = served.post(task="i2v", num_frames=5)

    assert answer.status_code == 400
    assert "first_image_path" in answer.text


def test_frames_that_the_model_cannot_make_are_refused(served: Served) -> None:
    answer = served.post(**CLIP | {"num_frames": 24})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "num_frames"]


def test_picture_that_is_a_line_is_refused_with_what_to_do(served: Served) -> None:
    line = picture(width=90, height=10)

    answer = served.post(**CLIP | {"first_image_path": line})

    fault = answer.json()["detail"][0]
    assert answer.status_code == 400
    assert fault["loc"] == ["body", "first_image_path"]
    assert fault["msg"] == "is 90x10, at most 8 times as long as wide allowed; cut it"


def test_size_beyond_what_the_model_makes_is_refused_with_one_that_fits(served: Served) -> None:
    answer = served.post(**CLIP | {"width": 1280, "height": 1280})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "width"]
    assert "times height must be at most" in answer.json()["detail"][0]["msg"]
