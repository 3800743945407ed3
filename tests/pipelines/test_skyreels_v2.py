"""SkyReels-V2 diffusion forcing, served with a tiny model."""

import base64
from collections.abc import Iterator

import pytest

from tests.fakes.media_files import mp4, still
from tests.pipelines.serving import Served, serve

pytest.importorskip("diffusers")

PICTURE = "data:image/png;base64," + base64.b64encode(still(width=60, height=85)).decode()
FILM = "data:video/mp4;base64," + base64.b64encode(mp4(frames=7, width=80, height=64)).decode()
FROM_TEXT = {"width": 80, "height": 64, "num_frames": 5, "num_inference_steps": 3}
FROM_PICTURE = FROM_TEXT | {"first_image_path": PICTURE, "height": 128}
FROM_FILM = {
    "ref_video_path": FILM,
    "width": 80,
    "height": 64,
    "target_video_length": 1,
    "num_inference_steps": 3,
}
CLIPS = {"t2v": FROM_TEXT, "i2v": FROM_PICTURE, "vc": FROM_FILM}
FILM_FRAMES = 19
"""Seven frames of 8 fps, the last of them at 0.75 seconds, at 24 fps."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.pipelines.tiny.wan_skyreels import save_skyreels

    folder = tmp_path_factory.mktemp("skyreels_v2")
    with serve("skyreels_v2.py", folder, save_skyreels) as served:
        yield served


@pytest.mark.parametrize(
    ("kind", "size", "frames"),
    [("t2v", (80, 64), 5), ("i2v", (80, 128), 5), ("vc", (80, 64), FILM_FRAMES + 24)],
)
def test_clip_has_the_size_and_frames_that_were_asked(
    served: Served, kind: str, size: tuple[int, int], frames: int
) -> None:
    made = served.make(**CLIPS[kind])

    assert made.frames == [size] * frames
    assert made.fps == 24
    assert made.steps == [1, 2, 3]


@pytest.mark.parametrize("kind", CLIPS)
def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served, kind: str) -> None:
    clip = CLIPS[kind]

    first = served.make(**clip, seed=7)
    other = served.make(**clip, seed=8)
    ended = served.cancel_at_first_step(**clip | {"num_inference_steps": 100})

    assert served.make(**clip, seed=7).data == first.data != other.data
    assert ended == "cancelled"


def test_clip_that_is_too_long_to_go_on_says_what_to_do(served: Served) -> None:
    long = base64.b64encode(mp4(frames=170)).decode()

    answer = served.post(**FROM_FILM | {"ref_video_path": f"data:video/mp4;base64,{long}"})

    fault = answer.json()["detail"][0]
    assert answer.status_code == 400
    assert fault["loc"] == ["body", "ref_video_path"]
    assert fault["msg"] == "lasts 21.3 seconds, at most 20 allowed; cut it"


def test_frames_that_the_model_cannot_make_are_refused(served: Served) -> None:
    answer = served.post(**FROM_TEXT | {"num_frames": 122})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "num_frames"]
