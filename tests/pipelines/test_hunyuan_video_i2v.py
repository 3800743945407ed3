"""HunyuanVideo image-to-video, served with a tiny model of each of its variants."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.pictures import picture
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

CLIP = {
    "first_image_path": picture(100, 37),
    "width": 80,
    "height": 64,
    "num_frames": 9,
    "num_inference_steps": 2,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.hunyuan import save_hunyuan_video_i2v

    folder = tmp_path_factory.mktemp("hunyuan_video_i2v")
    with serve("hunyuan_video_i2v.py", folder, save_hunyuan_video_i2v) as served:
        yield served


def test_picture_of_any_shape_becomes_a_clip_of_the_size_that_was_asked(served: Served) -> None:
    made = served.make(**CLIP)

    assert made.frames == [(80, 64)] * 9
    assert made.fps == 24
    assert made.steps == [1, 2]
    assert "preview" in {event.name for event in made.events}


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)
    ended = served.cancel_at_first_step(**CLIP | {"num_inference_steps": 100})

    assert ended == "cancelled"
    assert served.make(**CLIP, seed=7).data == first.data != other.data


def test_request_without_a_picture_is_refused(served: Served) -> None:
    answer = served.post(**CLIP | {"first_image_path": ""}, task="i2v")

    assert answer.status_code == 400
    assert "first_image_path" in answer.text


def test_variant_of_33_channels_makes_as_many_frames(tmp_path: Path) -> None:
    from tests.pipelines.tiny.hunyuan import save_hunyuan_video_i2v_33_channels

    with serve("hunyuan_video_i2v.py", tmp_path, save_hunyuan_video_i2v_33_channels) as served:
        assert served.make(**CLIP).frames == [(80, 64)] * 9
