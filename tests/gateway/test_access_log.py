"""The line that Envoy writes about each request."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from telefuser_grpc._gen.telefuser.v1 import task_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2_grpc as task_grpc
from telefuser_grpc.gateway.options import GatewayOptions, RateLimit
from telefuser_grpc.gateway.process import Gateway
from tests.gateway.conftest import exchange
from tests.gateway.upstream import Upstream, serving

KEY = "sk-very-secret"


async def test_line_tells_who_asked_what_and_how_it_went(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with _logging(tmp_path) as http:
        headers = {"x-request-id": "r-1", "user-agent": "curl/8"}
        await http.get("/v1/tasks/missing/status", headers=headers)

    (entry,) = _lines(capfd)
    assert (entry["method"], entry["path"]) == ("GET", "/v1/tasks/missing/status")
    assert (entry["status"], entry["request_id"]) == (404, "r-1")
    assert (entry["client"], entry["user_agent"]) == ("127.0.0.1", "curl/8")
    assert entry["rpc"] == "/telefuser.rest.v1.RestTaskService/GetTaskStatus"
    assert isinstance(entry["duration_ms"], int)
    assert entry["trace_id"] is None
    assert entry["time"].endswith("Z")


async def test_no_secret_of_a_request_is_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")
    async with _logging(tmp_path, artifact_root=tmp_path) as http:
        for path in ("/v1/service/health", "/v1/nothing", "/v1/files/download/clip.mp4"):
            headers = {"authorization": f"Bearer {KEY}", "x-api-key": KEY}
            await http.get(f"{path}?api_key={KEY}", headers=headers)

    lines = _lines(capfd)
    assert KEY not in json.dumps(lines)
    assert [line["path"] for line in lines] == [
        "/v1/service/health",
        "/v1/nothing",
        "/v1/files/download/clip.mp4",
    ]


async def test_refusal_says_who_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    limit = RateLimit(requests_per_minute=1, burst=0, window_seconds=3600)
    async with _logging(tmp_path, rate_limit=limit) as http:
        await http.post("/v1/tasks/create", json={})
        await http.post("/v1/tasks/create", json={})

    _, refused = _lines(capfd)
    assert (refused["status"], refused["details"]) == (429, "local_rate_limited")
    assert refused["request_id"]


async def test_forged_lines_stay_inside_theirs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with _logging(tmp_path) as http:
        await http.get("/v1/x%0a%22,", headers={"user-agent": 'x","status":200,"y":"'})

    (entry,) = _lines(capfd)
    assert (entry["status"], entry["path"]) == (404, "/v1/x%0a%22,")


async def test_native_call_is_logged_by_its_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with (
        _logging(tmp_path) as http,
        grpc.aio.insecure_channel(http.base_url.netloc.decode()) as channel,
    ):
        await task_grpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id="t1"))

    (entry,) = _lines(capfd)
    assert entry["path"] == entry["rpc"] == "/telefuser.v1.TaskService/GetTask"
    assert (entry["method"], entry["status"]) == ("POST", 200)


async def test_request_that_cannot_be_read_is_logged_with_the_id_it_was_given(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with _logging(tmp_path) as http:
        answer = await exchange(http.base_url.port or 0, b"NONSENSE\r\n\r\n")

    (entry,) = _lines(capfd)
    assert entry["status"] == 400
    assert f"x-request-id: {entry['request_id']}\r\n" in answer


@asynccontextmanager
async def _logging(folder: Path, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway that writes to stdout; on exit all lines are written."""
    there = GatewayOptions(upstream=f"{folder}/s", port=0, **options)
    async with (
        serving(Upstream(folder), f"unix:{folder}/s"),
        Gateway(there, folder / "run", drain_seconds=0) as gateway,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", trust_env=False) as http,
    ):
        yield http


def _lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = capfd.readouterr().out.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
