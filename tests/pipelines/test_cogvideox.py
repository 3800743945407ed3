"""CogVideoX, from words and from pictures, served with tiny models."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.pipelines.pictures import picture
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

CLIP = {"num_frames": 9, "num_inference_steps": 2}
SIZED = CLIP | {"width": 80, "height": 64}
FROM_PICTURE = CLIP | {"first_image_path": picture(100, 37)}


@pytest.fixture(scope="module")
def t2v(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.cogvideo import save_cogvideox_t2v

    folder = tmp_path_factory.mktemp("cogvideox_t2v")
    with serve("cogvideox_t2v.py", folder, save_cogvideox_t2v) as served:
        yield served


@pytest.fixture(scope="module")
def i2v(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.cogvideo import save_cogvideox_i2v

    folder = tmp_path_factory.mktemp("cogvideox_i2v")
    with serve("cogvideox_i2v.py", folder, save_cogvideox_i2v) as served:
        yield served


def test_words_become_a_clip_of_the_size_that_was_asked(t2v: Served) -> None:
    made = t2v.make(**CLIP, width=92, height=64)

    assert made.frames == [(96, 64)] * 9
    assert made.fps == 8
    assert made.steps == [1, 2]
    assert "preview" in {event.name for event in made.events}


def test_same_words_and_seed_give_the_same_bytes_whatever_ran_before(t2v: Served) -> None:
    _check_seeds(t2v, SIZED)


def test_size_that_the_model_has_not_learnt_is_refused(t2v: Served) -> None:
    answer = t2v.post(**CLIP | {"resolution": "1080p"})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "resolution"]


def test_picture_of_any_shape_becomes_a_clip_of_the_size_that_was_learnt(i2v: Served) -> None:
    made = i2v.make(**FROM_PICTURE)

    assert made.frames == [(80, 64)] * 9
    assert made.fps == 8
    assert made.steps == [1, 2]


def test_same_picture_and_seed_give_the_same_bytes_whatever_ran_before(i2v: Served) -> None:
    _check_seeds(i2v, FROM_PICTURE)


def test_frames_that_the_model_cannot_make_are_refused(i2v: Served) -> None:
    answer = i2v.post(**FROM_PICTURE | {"num_frames": 13})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "num_frames"]


def _check_seeds(served: Served, clip: Mapping[str, Any]) -> None:
    first = served.make(**clip, seed=7)
    other = served.make(**clip, seed=8)
    ended = served.cancel_at_first_step(**{**clip, "num_inference_steps": 100})

    assert ended == "cancelled"
    assert served.make(**clip, seed=7).data == first.data != other.data
