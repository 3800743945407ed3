"""The OpenAI images and models through the gateway, over HTTP."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.end_to_end.conftest import HERE
from tests.end_to_end.gates import Gate
from tests.end_to_end.sse import read_events
from tests.fakes.media_files import still
from tests.fakes.service import Service

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"
PICTURE = ("a.png", still(width=20, height=10), "image/png")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("images")
    with Service(
        HERE / "painting_pipeline.py", folder, max_queue_size=10, preview_interval=0
    ) as service:
        yield service


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.http() as http:
        yield http


def picture(encoded: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def data_of(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = (line for line in answer.iter_lines() if line.startswith("data: "))
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def last_task(http: httpx.Client) -> str:
    return str(http.get("/v1/tasks").json()["tasks"][0]["task_id"])


def test_ten_images_are_made_and_fetched_by_their_links(http: httpx.Client) -> None:
    answer = http.post(GENERATIONS, json={"prompt": "a cat", "n": 10, "seed": 0, "size": "64x48"})

    items = answer.json()["data"]
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert len(items) == 10
    for seed, item in enumerate(items):
        content = http.get(item["url"])
        image = Image.open(io.BytesIO(content.content))
        assert content.headers["content-type"] == "image/png"
        assert (image.size, image.getpixel((0, 0))) == ((64, 48), (seed, 0, 0))


def test_part_of_an_image_and_its_head_are_sent(http: httpx.Client) -> None:
    url = http.post(GENERATIONS, json={"prompt": "a cat"}).json()["data"][0]["url"]

    part = http.get(url, headers={"range": "bytes=0-3"})
    head = http.head(url)

    assert (part.status_code, part.content) == (206, b"\x89PNG")
    assert (head.status_code, head.content) == (200, b"")
    assert http.get(url, headers={"if-none-match": head.headers["etag"]}).status_code == 304


def test_image_in_base64_is_of_the_wanted_format(http: httpx.Client) -> None:
    body = {"prompt": "p", "response_format": "b64_json", "output_format": "webp"}

    answer = http.post(GENERATIONS, json=body)

    assert picture(answer.json()["data"][0]["b64_json"]).format == "WEBP"


def test_images_are_edited_with_a_mask(http: httpx.Client) -> None:
    files = [("image[]", PICTURE), ("image[]", PICTURE), ("mask", ("m.png", still(width=30)))]
    fields = {"prompt": "p", "response_format": "b64_json"}

    answer = http.post(EDITS, data=fields, files=files)

    assert answer.status_code == 200, answer.text
    assert picture(answer.json()["data"][0]["b64_json"]).size == (30, 6)


def test_images_of_an_edit_are_named_in_json(http: httpx.Client) -> None:
    content = base64.b64encode(still()).decode()
    images = [{"image_url": f"data:image/png;base64,{content}"}, content]

    answer = http.post(EDITS, json={"prompt": "in blue", "images": images, "n": 2})

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == 2


def test_image_is_varied(http: httpx.Client) -> None:
    answer = http.post("/v1/images/variations", data={"n": "2"}, files={"image": PICTURE})

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == 2


@pytest.mark.parametrize("path", [GENERATIONS, EDITS])
def test_previews_stream_while_the_image_is_made(
    service: Service, http: httpx.Client, gate: Gate, path: str
) -> None:
    fields = {"prompt": "p", "stream": True, "partial_images": 3, "gate": str(gate)}
    texts = {"json": fields}
    if path == EDITS:
        fields = {name: str(each).lower() for name, each in fields.items()} | {"gate": str(gate)}
        texts = {"data": fields, "files": {"image": PICTURE}}  # type: ignore[dict-item]
    family = "image_edit" if path == EDITS else "image_generation"
    told: list[dict[str, Any]] = []

    with http.stream("POST", path, **texts) as answer:  # type: ignore[arg-type]
        assert answer.headers["content-type"] == "text/event-stream"
        for line in answer.iter_lines():
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: ")))
                gate.open()

    assert [each["type"] for each in told] == [f"{family}.partial_image"] * 3 + [
        f"{family}.completed"
    ]
    assert [each["partial_image_index"] for each in told[:3]] == [0, 1, 2]


@pytest.mark.parametrize("stream", [True, False])
def test_caller_who_goes_away_ends_the_task(
    service: Service, http: httpx.Client, gate: Gate, stream: bool
) -> None:
    body = {"prompt": "p", "gate": str(gate), "stream": stream}
    with service.http() as leaving:
        leaving.timeout = httpx.Timeout(5, read=0.5)
        with pytest.raises(httpx.ReadTimeout):
            leaving.post(GENERATIONS, json=body)
    gate.open()

    with http.stream("GET", f"/v1/tasks/{last_task(http)}/events") as events:
        last = list(read_events(events))[-1]
    assert last.data["status"] == "cancelled"


@pytest.mark.parametrize(
    ("path", "sent", "status", "param"),
    [
        (GENERATIONS, {"json": {}}, 422, "prompt"),
        (GENERATIONS, {"json": {"prompt": "p", "n": 11}}, 422, "n"),
        (GENERATIONS, {"json": {"prompt": "p", "size": "9x9x9"}}, 422, "size"),
        (GENERATIONS, {"json": {"prompt": "p" * 100_000}}, 422, "prompt"),
        (GENERATIONS, {"content": b"{"}, 422, None),
        (EDITS, {"data": {"prompt": "p"}}, 422, "image"),
        (
            EDITS,
            {"data": {"prompt": "p"}, "files": {"image": ("a.png", b"text")}},
            400,
            "image",
        ),
        (
            EDITS,
            {"data": {"prompt": "p"}, "files": {"image": still(width=8000, height=7500)}},
            400,
            "image",
        ),
        (EDITS, {"json": {"prompt": "p"}}, 422, "images"),
        (EDITS, {"content": b"x", "headers": {"content-type": "text/plain"}}, 415, None),
    ],
)
def test_bad_request_has_the_official_error_and_the_documented_detail(
    http: httpx.Client, path: str, sent: dict[str, Any], status: int, param: str | None
) -> None:
    answer = http.post(path, **sent)

    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text
    assert answer.json()["detail"]
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-request-id"]


def test_queue_without_room_for_all_is_503_and_takes_nothing(
    http: httpx.Client, gate: Gate
) -> None:
    body = {"prompt": "p", "gate": str(gate), "stream": True}
    with http.stream("POST", GENERATIONS, json=body):
        gate.wait_for_visitor()
        answer = http.post(GENERATIONS, json={"prompt": "p", "n": 10})
        waiting = http.get("/v1/tasks/queue/status").json()["pending_count"]
        gate.open()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "queue_full")
    assert answer.headers["x-should-retry"] == "true"
    assert answer.headers["retry-after"]
    assert waiting == 0


def test_silent_retry_of_an_sdk_is_folded_onto_the_first_task(
    service: Service, http: httpx.Client, make_gate: Callable[[], Gate]
) -> None:
    gate = make_gate()
    body = {"prompt": "again", "gate": str(gate)}
    with service.http() as leaving:
        leaving.timeout = httpx.Timeout(5, read=0.5)
        with pytest.raises(httpx.ReadTimeout):
            leaving.post(GENERATIONS, json=body, headers={"x-stainless-retry-count": "0"})
    gate.open()

    answer = http.post(GENERATIONS, json=body, headers={"x-stainless-retry-count": "1"})

    made = [each for each in http.get("/v1/tasks").json()["tasks"] if each["prompt"] == "again"]
    assert answer.status_code == 200, answer.text
    assert [each["task_id"] for each in made] == [answer.json()["data"][0]["url"].split("/")[5]]


def test_models_are_listed_and_found(http: httpx.Client) -> None:
    (model,) = http.get("/v1/models").json()["data"]

    assert model["id"] == "painting"
    assert http.get("/v1/models/painting").json() == model
    assert http.get("/v1/models", params={"of_another": "version"}).json()["data"] == [model]
    missing = http.get("/v1/models/org/other")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


def test_unknown_image_is_404_with_both_keys(http: httpx.Client) -> None:
    answer = http.get("/v1/images/none/content")

    assert (answer.status_code, answer.json()["detail"]) == (404, "Image none not found")
    assert answer.json()["error"]["code"] == "not_found"


def test_links_begin_with_the_address_that_the_operator_names(tmp_path: Path) -> None:
    named = "https://v.example.com/"
    with (
        Service(HERE / "painting_pipeline.py", tmp_path, public_base_url=named) as service,
        service.http() as http,
    ):
        (made,) = http.post(GENERATIONS, json={"prompt": "a cat"}).json()["data"]

    assert made["url"].startswith("https://v.example.com/v1/images/task_")
