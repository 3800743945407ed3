"""The embedded model, which is served when no file is named: each of its kinds."""

import base64
import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.fakes.media_files import still
from tests.fakes.service import Service
from tests.pipelines.serving import Served

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

FIRST_FRAME = "data:image/png;base64," + base64.b64encode(still(width=80, height=60)).decode()
SHORT = {"prompt": "a red circle moving right on a navy background", "num_inference_steps": 4}
KINDS: dict[str, dict[str, Any]] = {
    "t2v": SHORT | {"task": "t2v"},
    "i2v": SHORT | {"task": "i2v", "first_image_path": FIRST_FRAME},
    "t2i": SHORT | {"task": "t2i"},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("moving_shapes")
    with Service(None, folder, preview_interval=0) as service, service.http() as http:
        yield Served(service, http)


@pytest.mark.parametrize(("kind", "steps"), [("t2v", 4), ("i2v", 3)])  # one draws a first frame
def test_clip_has_its_size_frames_rate_steps_and_previews(
    served: Served, kind: str, steps: int
) -> None:
    made = served.make(**KINDS[kind], target_video_length=2, fps=8)

    assert made.frames == [(64, 64)] * 16
    assert made.fps == 8
    assert made.steps == list(range(1, steps + 1))
    assert "preview" in {event.name for event in made.events}


def test_image_is_a_png(served: Served) -> None:
    assert served.make(**KINDS["t2i"]).picture == ("PNG", (64, 64))


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_bytes_whatever_ran_before(served: Served, kind: str) -> None:
    first = served.make(**KINDS[kind], seed=7)
    other = served.make(**KINDS[kind], seed=8)
    ended = served.cancel_at_first_step(**KINDS[kind] | {"num_inference_steps": 100})

    assert ended == "cancelled"
    assert served.make(**KINDS[kind], seed=7).data == first.data != other.data


def test_prompt_shows_in_the_picture(served: Served) -> None:
    made = served.make(**KINDS["t2i"] | {"num_inference_steps": 24})

    with Image.open(io.BytesIO(made.data)) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()
    colours = Counter(map(_nearest, pixels))
    assert set(colours) == {"red", "navy"}
    assert colours["navy"] > colours["red"] > 100


def _nearest(pixel: Sequence[int]) -> str:
    known = {"red": (225, 40, 40), "navy": (15, 25, 85), "green": (40, 180, 60)}
    return min(known, key=lambda name: math.dist(known[name], pixel))


def test_what_it_cannot_draw_is_refused(served: Served) -> None:
    answer = served.post(resolution="1080p")

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "resolution"]
