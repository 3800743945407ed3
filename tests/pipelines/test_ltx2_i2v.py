"""LTX-2 image-to-video with sound, served with a tiny model."""

import io
from collections.abc import Iterator

import av
import pytest

from tests.pipelines.pictures import picture
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

CLIP = {
    "first_image_path": picture(100, 37),
    "width": 128,
    "height": 64,
    "num_frames": 9,
    "num_inference_steps": 2,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.ltx2 import save_ltx2_i2v

    folder = tmp_path_factory.mktemp("ltx2_i2v")
    with serve("ltx2_i2v.py", folder, save_ltx2_i2v) as served:
        yield served


def test_picture_of_any_shape_becomes_a_clip_of_the_size_that_was_asked(served: Served) -> None:
    made = served.make(**CLIP)

    assert made.frames == [(128, 64)] * 9
    assert made.fps == 24
    assert made.steps == [1, 2]


def test_clip_has_stereo_sound_as_long_as_itself(served: Served) -> None:
    made = served.make(**CLIP)

    with av.open(io.BytesIO(made.data)) as film:
        sound = film.streams.audio[0]
        assert sound.channels == 2
        assert sound.duration
        assert sound.time_base
        assert float(sound.duration * sound.time_base) == pytest.approx(9 / 24, abs=0.1)


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)
    ended = served.cancel_at_first_step(**CLIP | {"num_inference_steps": 100})

    assert ended == "cancelled"
    assert served.make(**CLIP, seed=7).data == first.data != other.data


def test_frames_that_the_model_cannot_make_are_refused(served: Served) -> None:
    answer = served.post(**CLIP | {"num_frames": 10})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "num_frames"]
