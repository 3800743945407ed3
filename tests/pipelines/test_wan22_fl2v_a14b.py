"""Wan2.2 from a first to a last picture, served with a tiny model."""

import base64
from collections.abc import Iterator

import pytest

from tests.fakes.media_files import still
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")


def as_data(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode()


CLIP = {
    "first_image_path": as_data(still(width=60, height=85)),
    "last_image_path": as_data(still(width=33, height=21)),
    "width": 64,
    "height": 96,
    "num_frames": 5,
    "num_inference_steps": 3,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.wan import save_wan22_i2v

    folder = tmp_path_factory.mktemp("wan22_fl2v")
    with serve("wan22_fl2v_a14b.py", folder, save_wan22_i2v) as served:
        yield served


def test_clip_has_the_size_and_frames_that_were_asked(served: Served) -> None:
    made = served.make(**CLIP)

    assert made.frames == [(64, 96)] * 5
    assert made.fps == 16
    assert made.steps == [1, 2, 3]


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)
    ended = served.cancel_at_first_step(**CLIP | {"num_inference_steps": 100})

    assert served.make(**CLIP, seed=7).data == first.data != other.data
    assert ended == "cancelled"


def test_clip_without_a_last_picture_is_refused(served: Served) -> None:
    answer = served.post(**CLIP | {"last_image_path": "", "task": "fl2v"})

    assert answer.status_code == 400
    assert "last_image_path" in answer.text
