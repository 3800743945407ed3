"""The Image-to-Video API through the gateway."""

import base64
import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from PIL import Image

from tests.end_to_end.gates import Gate
from tests.fakes.media_files import still
from tests.fakes.service import Service

PIPELINE = Path(__file__).parent / "picture_pipeline.py"
DRIVER = Path(__file__).parents[1] / "fakes" / "driver"
IMAGE = base64.b64encode(still(width=48, height=32)).decode()
FRESH = {"resolution": "256p", "num_frames": 8}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(PIPELINE, tmp_path_factory.mktemp("i2v")) as service:
        yield service


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.http() as http:
        yield http


def generate(http: httpx.Client, path: str = "/generate", **changes: Any) -> httpx.Response:
    body = {"image_base64": IMAGE, "prompt": "A person walking forward naturally"}
    return http.post(path, json=body | FRESH | changes)


@pytest.mark.parametrize("path", ["/generate", "/v1/generate"])
def test_answer_holds_the_video_and_a_link_to_the_same_bytes(http: httpx.Client, path: str) -> None:
    answer = generate(http, path, fps=6)
    made = answer.json()
    linked = http.get(made["download_url"])
    part = http.get(made["download_url"], headers={"range": "bytes=4-7"})

    content = base64.b64decode(made["video_base64"])
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert (linked.content, linked.headers["content-type"]) == (content, "video/mp4")
    assert (part.status_code, part.content) == (206, b"ftyp")
    with av.open(io.BytesIO(content)) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (256, 256, 8)
        assert stream.average_rate == 6


def test_gif_is_made(http: httpx.Client) -> None:
    made = generate(http, output_format="gif").json()

    linked = http.get(made["download_url"])
    assert linked.headers["content-type"] == "image/gif"
    with Image.open(io.BytesIO(base64.b64decode(made["video_base64"]))) as film:
        assert (film.format, film.size, film.n_frames) == ("GIF", (256, 256), 8)


def test_memory_that_runs_out_is_500_with_the_documented_text(http: httpx.Client) -> None:
    answer = generate(http, prompt="out of memory")

    assert answer.status_code == 500
    assert answer.json() == {
        "task_id": answer.json()["task_id"],
        "status": "failed",
        "error": "CUDA out of memory. Please reduce resolution or frame count.",
        "code": "RESOURCE_EXHAUSTED",
    }


def test_bad_request_is_422_and_names_its_fields(http: httpx.Client) -> None:
    answer = generate(http, steps=1, fps=99)

    assert answer.status_code == 422
    assert answer.json()["code"] == "INVALID_ARGUMENT"
    assert [each["loc"] for each in answer.json()["detail"]] == [["body", "fps"], ["body", "steps"]]


def test_unknown_output_is_404_in_the_documented_form(http: httpx.Client) -> None:
    answer = http.get("/outputs/video_20250405_100001.mp4")

    assert answer.status_code == 404
    assert answer.json() == {
        "task_id": None,
        "status": "failed",
        "error": "File not found",
        "code": "NOT_FOUND",
    }


def test_health_tells_of_the_model(http: httpx.Client) -> None:
    answer = http.get("/health")

    assert answer.status_code == 200
    assert (
        answer.json().items()
        >= {
            "status": "healthy",
            "model_loaded": True,
            "gpu_memory_used_gb": 0.0,
        }.items()
    )


def test_generation_is_logged_with_the_documented_keys(
    http: httpx.Client, service: Service
) -> None:
    task_id = generate(http).json()["task_id"]

    line = next(
        each for each in service.log.events("video_generation_start") if each["task_id"] == task_id
    )
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line["timestamp"].endswith("Z")
    assert line["params"] == {"resolution": "256p", "frames": 8}
    assert line["client_ip"] == "127.0.0.1"
    assert any(e["task_id"] == task_id for e in service.log.events("video_generation_end"))


def test_caller_who_leaves_ends_the_run(service: Service, http: httpx.Client, gate: Gate) -> None:
    body = json.dumps({"image_base64": IMAGE, "prompt": f"walk gate:{gate}"}).encode()
    head = f"POST /generate HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port)) as caller:
        caller.sendall(head.encode() + body)
        gate.wait_for_visitor()
        task_id = http.get("/v1/tasks").json()["tasks"][0]["task_id"]
    with http.stream("GET", f"/v1/tasks/{task_id}/events") as events:
        stopping = next(line for line in events.iter_lines() if "cancelling" in line)
        gate.open()

    http.get(f"/v1/tasks/{task_id}/events")
    assert "cancelling" in stopping
    assert http.get(f"/v1/tasks/{task_id}/status").json()["status"] == "cancelled"


def test_eleventh_generation_of_a_minute_is_429(tmp_path: Path) -> None:
    settings = {"rate_limit_enabled": True, "rate_limit_window_size": 3600}
    with Service(PIPELINE, tmp_path, **settings) as service, service.http() as http:
        codes = [http.post("/generate", json={}).status_code for _ in range(10)]
        answer = generate(http)

    assert codes == [422] * 10
    assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")
    assert "retry-after" in answer.headers


def test_gpu_without_room_is_429_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(DRIVER), prepend=":")
    with Service(PIPELINE, tmp_path) as service, service.http() as http:
        health = http.get("/health").json()
        answer = generate(http, resolution="768p", num_frames=24)

    assert health["gpu_memory_used_gb"] > 0
    assert answer.status_code == 429
    assert answer.json()["code"] == "RESOURCE_EXHAUSTED"
    assert "GPU memory" in answer.json()["error"]
