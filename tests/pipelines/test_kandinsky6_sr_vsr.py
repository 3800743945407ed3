"""Super-resolution of whole clips, served with a tiny model."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.media_files import mp4
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")


def film(*, frames: int = 3, width: int = 64, height: int = 64) -> str:
    """Returns a clip of 8 frames a second, with sound, as a data URL."""
    content = mp4(frames=frames, width=width, height=height, with_sound=True)
    return "data:video/mp4;base64," + base64.b64encode(content).decode()


CLIP = {"ref_video_path": film()}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.kandinsky import save_kandinsky6_sr

    folder = tmp_path_factory.mktemp("kandinsky6_sr_vsr")
    with serve("kandinsky6_sr_vsr.py", folder, save_kandinsky6_sr) as served:
        yield served


def test_clip_is_twice_as_large_with_its_frames_rate_and_sound(served: Served) -> None:
    made = served.make(**CLIP)

    assert made.frames == [(128, 128)] * 3, "though the model makes 4k + 1"
    assert made.fps == 8
    assert made.has_sound
    assert made.steps == [0, 1, 2]


def test_odd_clip_is_cut_and_its_tiles_are_counted_on(served: Served) -> None:
    made = served.make(ref_video_path=film(frames=1, width=70, height=36), resolution_scale=4)

    assert made.frames == [(256, 128)]
    assert made.steps == [0, 1, 2, 3, 4, 5, 6], "three tiles of two steps"


def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served) -> None:
    first = served.make(**CLIP, seed=7)
    other = served.make(**CLIP, seed=8)
    ended = served.cancel_at_first_step(**CLIP, num_inference_steps=50)

    assert ended == "cancelled"
    assert served.make(**CLIP, seed=7).data == first.data != other.data


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ({"frames": 122}, "has 122 frames, at most 121 allowed; cut it"),
        ({"width": 1600, "height": 900, "frames": 1}, "is 1600x900; scale it down, as to 1280x720"),
    ],
)
def test_clip_that_is_too_much_says_what_to_change(
    served: Served, shape: dict[str, Any], remedy: str
) -> None:
    answer = served.post(ref_video_path=film(**shape))

    assert answer.status_code == 400
    assert answer.json()["detail"][0]["msg"] == remedy


@pytest.mark.parametrize(
    ("shape", "scale", "remedy"),
    [
        ({"width": 960, "height": 540}, 4, "960x540 would be more than 2560x1440 pixels; scale"),
        ({"width": 32, "height": 32}, 2, "must be 64x64 at least, and is 32x32; scale it up"),
    ],
)
def test_clip_that_its_scale_does_not_fit_says_what_to_change(
    served: Served, shape: dict[str, Any], scale: int, remedy: str
) -> None:
    clip = film(**shape, frames=1)

    events = served.follow(served.create(ref_video_path=clip, resolution_scale=scale))

    assert events[-1].data["status"] == "failed"
    assert remedy in str(events[-1].data)


def test_scale_that_it_cannot_do_is_refused(served: Served) -> None:
    answer = served.post(**CLIP, resolution_scale=3)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "resolution_scale"]
