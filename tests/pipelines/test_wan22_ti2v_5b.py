"""Wan2.2 text- and image-to-video on one model, served with a tiny one."""

import base64
from collections.abc import Iterator

import pytest

from tests.fakes.media_files import still
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

PICTURE = "data:image/png;base64," + base64.b64encode(still(width=60, height=85)).decode()
CLIP = {"width": 80, "height": 64, "num_frames": 5, "num_inference_steps": 3}
FROM_PICTURE = {"first_image_path": PICTURE, **CLIP, "height": 120}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.wan import save_wan22_ti2v

    folder = tmp_path_factory.mktemp("wan22_ti2v")
    with serve("wan22_ti2v_5b.py", folder, save_wan22_ti2v) as served:
        yield served


def test_sides_are_rounded_up_to_what_the_model_makes(served: Served) -> None:
    made = served.make(**CLIP)

    assert made.frames == [(96, 64)] * 5
    assert made.fps == 24
    assert made.steps == [1, 2, 3]


def test_clip_of_a_picture_has_the_size_that_was_asked(served: Served) -> None:
    made = served.make(**FROM_PICTURE)

    assert made.frames == [(96, 128)] * 5
    assert made.steps == [1, 2, 3]


@pytest.mark.parametrize("clip", [CLIP, FROM_PICTURE], ids=["t2v", "i2v"])
def test_same_seed_gives_the_same_bytes_whatever_ran_before(
    served: Served, clip: dict[str, object]
) -> None:
    first = served.make(**clip, seed=7)
    other = served.make(**clip, seed=8)
    ended = served.cancel_at_first_step(**clip | {"num_inference_steps": 100})

    assert served.make(**clip, seed=7).data == first.data != other.data
    assert ended == "cancelled"


def test_frames_that_the_model_cannot_make_are_refused(served: Served) -> None:
    answer = served.post(**CLIP | {"num_frames": 122})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "num_frames"]
