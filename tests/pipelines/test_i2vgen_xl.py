"""I2VGen-XL, served with a tiny model, and behind the Image-to-Video API."""

import base64
from collections.abc import Iterator

import pytest

from tests.pipelines.pictures import picture
from tests.pipelines.serving import Made, Served, serve

pytest.importorskip("diffusers")

CLIP = {
    "first_image_path": picture(100, 37),
    "width": 96,
    "height": 64,
    "num_frames": 4,
    "num_inference_steps": 2,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.i2vgen_xl import save_i2vgen_xl

    folder = tmp_path_factory.mktemp("i2vgen_xl")
    with serve("i2vgen_xl.py", folder, save_i2vgen_xl) as served:
        yield served


def test_picture_of_any_shape_becomes_a_clip_of_the_size_that_was_asked(served: Served) -> None:
    made = served.make(**CLIP, fps=12)

    assert made.frames == [(96, 64)] * 4
    assert made.fps == 12
    assert made.steps == [1, 2]
    assert "preview" in {event.name for event in made.events}


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)
    ended = served.cancel_at_first_step(**CLIP | {"num_inference_steps": 100})

    assert ended == "cancelled"
    assert served.make(**CLIP, seed=7).data == first.data != other.data


def test_image_to_video_api_is_served(served: Served) -> None:
    asked = {
        "image_base64": CLIP["first_image_path"],
        "prompt": "the cat yawns",
        "resolution": "256p",
        "num_frames": 8,
        "fps": 4,
        "steps": 10,
    }
    answer = served.http.post("/generate", json=asked)

    assert answer.status_code == 200, answer.text
    made = Made(base64.b64decode(answer.json()["video_base64"]), [])
    assert made.frames == [(256, 256)] * 8
    assert made.fps == 4


def test_more_frames_than_the_model_can_make_are_refused(served: Served) -> None:
    answer = served.post(**CLIP | {"num_frames": 33})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "num_frames"]
