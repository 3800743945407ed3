"""LTX-Video, served with a tiny model."""

from collections.abc import Iterator

import pytest

from tests.pipelines.pictures import picture
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

CLIP = {"width": 96, "height": 64, "num_frames": 9, "num_inference_steps": 2}
FROM_PICTURE = CLIP | {"first_image_path": picture(100, 37)}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.ltx import save_ltx_video

    folder = tmp_path_factory.mktemp("ltx_video")
    with serve("ltx_video.py", folder, save_ltx_video) as served:
        yield served


@pytest.mark.parametrize("clip", [CLIP, FROM_PICTURE], ids=["t2v", "i2v"])
def test_clip_has_the_size_and_frames_that_were_asked(served: Served, clip: dict[str, int]) -> None:
    made = served.make(**clip)

    assert made.frames == [(96, 64)] * 9
    assert made.fps == 25
    assert made.steps == [1, 2]


def test_sides_are_rounded_up_to_what_the_model_can_do(served: Served) -> None:
    made = served.make(**FROM_PICTURE | {"width": 70, "height": 64})

    assert made.frames == [(96, 64)] * 9


@pytest.mark.parametrize("clip", [CLIP, FROM_PICTURE], ids=["t2v", "i2v"])
def test_same_seed_gives_the_same_bytes_whatever_ran_before(
    served: Served, clip: dict[str, int]
) -> None:
    first = served.make(**clip, seed=7)
    other = served.make(**clip, seed=8)
    ended = served.cancel_at_first_step(**clip | {"num_inference_steps": 100})

    assert ended == "cancelled"
    assert served.make(**clip, seed=7).data == first.data != other.data


def test_picture_is_seen(served: Served) -> None:
    plain = served.make(**CLIP)
    one = served.make(**FROM_PICTURE)
    other = served.make(**FROM_PICTURE | {"first_image_path": picture(37, 100)})

    assert len({plain.data, one.data, other.data}) == 3


def test_frames_that_the_model_cannot_make_are_refused(served: Served) -> None:
    answer = served.post(**CLIP | {"num_frames": 13})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "num_frames"]
