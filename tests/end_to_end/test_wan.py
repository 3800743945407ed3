"""The Wan2.1 image-to-video API through the gateway."""

import asyncio
import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from tests.end_to_end.begun import until_begun_by_rest
from tests.end_to_end.gates import Gate
from tests.fakes.builders import ended, make_artifact, make_task, started
from tests.fakes.media_files import still
from tests.fakes.pictures import pictures
from tests.fakes.service import Service

PIPELINE = Path(__file__).parent / "picture_pipeline.py"
KEY = "a-key-of-the-studio-0123456789"
BEARER = {"authorization": f"Bearer {KEY}"}
PROMPT = "Sunset scene with mountains"


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with pictures({"/mountain.png": still(width=192, height=108)}) as address:
        yield address


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"api_keys": f"studio:{KEY}", "url_allow_private": True, "num_replicas": 3}
    with Service(PIPELINE, tmp_path_factory.mktemp("wan"), **settings) as service:
        yield service


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.http() as http:
        http.headers.update(BEARER)
        yield http


@pytest.fixture
def submit(http: httpx.Client, web: str) -> Callable[..., httpx.Response]:
    def post(**changes: Any) -> httpx.Response:
        body = {"prompt": PROMPT, "image_url": f"{web}/mountain.png", "num_frames": 24}
        return http.post("/video/submit", json=body | changes)

    return post


def finish(http: httpx.Client, request_id: str) -> None:
    """Waits for a task's end."""
    assert http.get(f"/v1/tasks/{request_id}/events").status_code == 200


def status_of(http: httpx.Client, request_id: str) -> Any:
    answer = http.post("/video/status", json={"requestId": request_id})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_picture_becomes_a_video_of_its_ratio_that_everybody_can_fetch_by_its_link(
    http: httpx.Client, submit: Callable[..., httpx.Response]
) -> None:
    submitted = submit(image_size="auto", seed=123456)
    request_id = submitted.json()["requestId"]
    finish(http, request_id)
    status = status_of(http, request_id)
    (video,) = status["results"]["videos"]

    with httpx.Client(trust_env=False) as nobody:
        whole = nobody.get(video["url"])
        part = nobody.get(video["url"], headers={"range": "bytes=4-7"})
        head = nobody.head(video["url"])

    assert submitted.status_code == 202
    assert re.fullmatch(r"[0-9a-f]{32}", request_id)
    assert status["status"] == "Succeed"
    assert status["results"]["seed"] == 123456
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/videos/[0-9a-f]{32}\.mp4", video["url"])
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert (head.status_code, head.content) == (200, b"")
    with av.open(io.BytesIO(whole.content)) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (832, 464, 25)
        assert stream.average_rate == 16


@pytest.mark.parametrize("path", ["/video/submit", "/video/status", "/video/cancel"])
@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "缺少认证头"),
        ({"authorization": "Basic dTpw"}, "无效的认证方案"),
        ({"authorization": "Bearer wrong"}, "无效的API密钥"),
    ],
)
def test_caller_without_a_key_is_401_with_the_documented_text(
    service: Service, path: str, headers: dict[str, str], reason: str
) -> None:
    with service.http() as nobody:
        answer = nobody.post(path, json={}, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {"detail": {"status": "Failed", "reason": reason}}


def test_image_that_cannot_be_fetched_is_400(
    submit: Callable[..., httpx.Response], web: str
) -> None:
    answer = submit(image_url=f"{web}/missing.png")

    reason = "图像下载失败: 图像服务器返回状态码 404"
    assert answer.status_code == 400
    assert answer.json() == {"detail": {"status": "Failed", "reason": reason}}


def test_wrong_fields_are_422_and_a_list(submit: Callable[..., httpx.Response]) -> None:
    answer = submit(num_frames=1, prompt="short")

    assert answer.status_code == 422
    assert [each["loc"] for each in answer.json()["detail"]] == [
        ["body", "prompt"],
        ["body", "num_frames"],
    ]


@pytest.mark.parametrize("path", ["/video/status", "/video/cancel"])
def test_unknown_task_is_404(http: httpx.Client, path: str) -> None:
    answer = http.post(path, json={"requestId": "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6"})

    assert answer.status_code == 404
    assert answer.json() == {"detail": {"status": "Failed", "reason": "无效的任务ID"}}


def test_unknown_video_is_404_in_the_documented_form(service: Service) -> None:
    with service.http() as nobody:
        answer = nobody.get(f"/videos/{'0' * 32}.mp4")

    assert answer.status_code == 404
    assert answer.json() == {"detail": {"status": "Failed", "reason": "文件不存在或已过期"}}


def test_failed_run_tells_of_memory_and_shows_no_path(
    http: httpx.Client, submit: Callable[..., httpx.Response]
) -> None:
    ids = [submit(prompt=each).json()["requestId"] for each in ("out of memory", "please raise")]
    for request_id in ids:
        finish(http, request_id)

    memory, other = (status_of(http, each) for each in ids)

    assert (memory["status"], memory["reason"]) == ("Failed", "显存不足，请降低分辨率")
    assert other["status"] == "Failed"
    assert str(PIPELINE.parent) not in other["reason"]


@pytest.mark.parametrize("verb", ["POST", "DELETE"])
def test_at_most_two_run_together_and_a_third_waits_and_can_be_cancelled(
    http: httpx.Client,
    submit: Callable[..., httpx.Response],
    make_gate: Callable[[], Gate],
    verb: str,
) -> None:
    gates = [make_gate() for _ in range(2)]
    running = [submit(prompt=f"{PROMPT} gate:{gate}").json()["requestId"] for gate in gates]
    until_begun_by_rest(http, *running)
    third = submit().json()["requestId"]

    words = [status_of(http, each)["status"] for each in running]
    waiting = status_of(http, third)
    cancelled = http.request(verb, "/video/cancel", json={"requestId": third})

    for gate in gates:
        gate.open()
    for request_id in running:
        finish(http, request_id)
    again = http.request(verb, "/video/cancel", json={"requestId": running[0]})
    assert words == ["InProgress"] * 2
    assert (waiting["status"], waiting["queue_position"]) == ("InQueue", 1)
    assert (cancelled.status_code, cancelled.json()) == (200, {"status": "Succeed"})
    assert status_of(http, third)["reason"] == "用户主动取消"
    assert again.status_code == 400
    assert again.json()["detail"]["reason"] == "仅允许取消排队任务，当前状态: Succeed"


def test_service_without_keys_is_503_and_says_what_is_missing(tmp_path: Path) -> None:
    with Service(PIPELINE, tmp_path) as service, service.http() as http:
        answer = http.post("/video/submit", json={})

    assert answer.status_code == 503
    assert "TELEFUSER_API_KEYS" in answer.json()["detail"]["reason"]


def test_videos_are_removed_an_hour_after_their_end_also_by_the_next_server(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    old, young, other = asyncio.run(_left_by_an_earlier_server(cache))

    with Service(PIPELINE, tmp_path) as service, service.http() as http:
        removed = service.log.wait_for("expired task removed")["task_id"]
        statuses = [
            http.get(f"/v1/tasks/{each}/status").status_code for each in (old, young, other)
        ]

    assert removed == old
    assert statuses == [404, 200, 200]
    assert not (cache / "tasks" / old).exists()
    assert (cache / "tasks" / young).exists()


async def _left_by_an_earlier_server(cache: Path) -> list[str]:
    cache.mkdir()
    ages = [("wan21/a.mp4", 3700), ("wan21/b.mp4", 3000), ("c.mp4", 3700)]
    async with SqliteTaskStore(cache / "tasks.db") as store:
        return [await _ended(store, cache, name, seconds) for name, seconds in ages]


async def _ended(store: SqliteTaskStore, cache: Path, name: str, seconds: float) -> str:
    task = await store.create(make_task(os.urandom(16).hex(), output_name=name))
    path = cache / make_artifact(task.id, name).path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"film")
    end = datetime.now(UTC) - timedelta(seconds=seconds)
    await store.save(replace(ended(await store.save(started(task))), finished_at=end))
    return task.id
