"""Wan2.1 video-to-video, served with a tiny model."""

import base64
from collections.abc import Iterator

import pytest

from tests.fakes.media_files import mp4
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

FILM = "data:video/mp4;base64," + base64.b64encode(mp4(frames=6, width=80, height=64)).decode()
CLIP = {
    "ref_video_path": FILM,
    "width": 80,
    "height": 64,
    "num_frames": 5,
    "num_inference_steps": 4,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.wan import save_wan21_t2v

    folder = tmp_path_factory.mktemp("wan21_vc")
    with serve("wan21_vc.py", folder, save_wan21_t2v) as served:
        yield served


def test_clip_has_the_size_and_frames_that_were_asked(served: Served) -> None:
    made = served.make(**CLIP)

    assert made.frames == [(80, 64)] * 5
    assert made.fps == 16
    assert made.steps == [1, 2, 3], "strength leaves out the first of four steps"


def test_result_is_no_longer_than_the_clip_that_was_given(served: Served) -> None:
    made = served.make(**CLIP | {"num_frames": 81})

    assert len(made.frames) == 9, "six frames at 8 fps are twelve at 16, and the model makes 4k + 1"


def test_least_strength_makes_one_step_at_least(served: Served) -> None:
    made = served.make(**CLIP | {"strength": 0.1, "num_inference_steps": 1})

    assert made.steps == [1]


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)
    ended = served.cancel_at_first_step(**CLIP | {"num_inference_steps": 100})

    assert served.make(**CLIP, seed=7).data == first.data != other.data
    assert ended == "cancelled"


def test_strength_beyond_its_range_is_refused(served: Served) -> None:
    answer = served.post(**CLIP | {"strength": 0.05})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "strength"]
