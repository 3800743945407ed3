"""Super-resolution frame by frame, served with a tiny model."""

import base64
from collections.abc import Iterator

import pytest

from tests.fakes.media_files import mp4
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")


def film(**shape: int) -> str:
    """Returns a clip of 8 frames a second, with sound, as a data URL."""
    return "data:video/mp4;base64," + base64.b64encode(mp4(**shape, with_sound=True)).decode()


CLIP = {"ref_video_path": film(frames=3), "num_inference_steps": 2}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.upscale import save_sd_x4_upscale

    folder = tmp_path_factory.mktemp("sd_x4_upscale_vsr")
    with serve("sd_x4_upscale_vsr.py", folder, save_sd_x4_upscale) as served:
        yield served


def test_clip_is_four_times_as_large_with_its_rate_and_sound(served: Served) -> None:
    made = served.make(**CLIP)

    assert made.frames == [(128, 64)] * 3
    assert made.fps == 8
    assert made.has_sound
    assert made.steps == [0, 1, 2, 3]
    assert "preview" in {event.name for event in made.events}


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)
    ended = served.cancel_at_first_step(**CLIP | {"num_inference_steps": 100})

    assert ended == "cancelled"
    assert served.make(**CLIP, seed=7).data == first.data != other.data


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ({"frames": 242}, "has 242 frames, at most 241 allowed; cut it"),
        ({"width": 800, "height": 600}, "is 800x600; scale it down, as to 640x480"),
    ],
)
def test_clip_that_is_too_much_says_what_to_change(
    served: Served, shape: dict[str, int], remedy: str
) -> None:
    answer = served.post(**CLIP | {"ref_video_path": film(**shape)})

    assert answer.status_code == 400
    assert answer.json()["detail"][0]["msg"] == remedy


def test_request_without_a_clip_is_refused(served: Served) -> None:
    answer = served.post(num_inference_steps=2, task="vsr")

    assert answer.status_code == 400
    assert "ref_video_path" in answer.text
