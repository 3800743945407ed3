"""The embedded model, which is served when no file is named."""

import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import av
import httpx
import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.sse import SseEvent, read_events
from tests.fakes.service import Service

PROMPT = "a red circle moving right on a navy background"

pytest.importorskip("diffusers")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with Service(None, tmp_path_factory.mktemp("moving_shapes")) as service, service.http() as http:
        yield http


def make(http: httpx.Client, **fields: object) -> tuple[bytes, list[SseEvent]]:
    """Returns the file that a request leads to, and what was told on the way."""
    body = {"prompt": PROMPT, "num_inference_steps": 4, **fields}
    created = http.post("/v1/tasks/create", json=body)
    assert created.status_code == 200, created.text
    with http.stream("GET", f"/v1/tasks/{created.json()['task_id']}/events") as answer:
        events = list(read_events(answer))
    assert events[-1].data["status"] == "completed", events[-1]
    return http.get(events[-1].data["artifacts"][0]["url"]).content, events


def test_film_has_the_right_size_and_length(http: httpx.Client) -> None:
    data, events = make(http, task="t2v", target_video_length=2, fps=8)

    steps = [event.data["step"] for event in events if event.name == "progress"]
    assert steps == [1, 2, 3, 4]
    with av.open(io.BytesIO(data)) as film:
        assert film.streams.video[0].average_rate == 8
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * 16


def test_image_is_a_png(http: httpx.Client) -> None:
    data, _ = make(http, task="t2i")

    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("PNG", (64, 64))


def test_prompt_shows_in_the_picture(http: httpx.Client) -> None:
    data, _ = make(http, task="t2i", num_inference_steps=24)

    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()
    colours = Counter(map(_nearest, pixels))
    assert set(colours) == {"red", "navy"}
    assert colours["navy"] > colours["red"] > 100


def _nearest(pixel: Sequence[int]) -> str:
    known = {"red": (225, 40, 40), "navy": (15, 25, 85), "green": (40, 180, 60)}
    return min(known, key=lambda name: math.dist(known[name], pixel))


def test_what_it_cannot_draw_is_refused(http: httpx.Client) -> None:
    answer = http.post("/v1/tasks/create", json={"prompt": PROMPT, "resolution": "1080p"})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "resolution"]
