"""What Envoy itself answers on the paths of OpenAI's API, whose clients read `error`."""

from pathlib import Path

import httpx
import pytest

from telefuser_grpc.gateway.options import GatewayOptions
from telefuser_grpc.gateway.process import Gateway
from tests.gateway.conftest import LIMIT

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/videos/video_x/nothing"),
        ("GET", "/v1/images/nothing"),
        ("POST", "/v1/images/nothing"),
        ("GET", "/v1/videos//x/y/z?a=b"),
    ],
)
async def test_unknown_path_has_error_and_detail(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await http.request(method, path)

    assert answer.status_code == 404
    assert answer.json() == {
        "error": {
            "message": "Not Found",
            "type": "invalid_request_error",
            "param": None,
            "code": "not_found",
        },
        "detail": "Not Found",
    }
    assert answer.headers["content-type"] == "application/json"


async def test_body_over_the_limit_has_error_and_detail(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/images/generations", content=b"x" * (LIMIT + 1))

    assert answer.status_code == 413
    assert answer.json() == {
        "error": {
            "message": "The request body is too large",
            "type": "invalid_request_error",
            "param": None,
            "code": "request_too_large",
        },
        "detail": "The request body is too large",
    }


async def test_body_of_wan_over_the_limit_is_told_in_its_words(http: httpx.AsyncClient) -> None:
    answer = await http.post("/video/submit", content=b"x" * (LIMIT + 1))

    assert answer.status_code == 413
    assert answer.json() == {"detail": {"status": "Failed", "reason": "请求体过大"}}


async def test_call_that_may_have_begun_is_not_sent_again_by_an_official_sdk(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.get("/v1/tasks/slow/status", headers={"user-agent": "OpenAI/Python 3.54.0"})

    assert (answer.status_code, answer.headers["x-should-retry"]) == (504, "false")
    assert (answer.json()["error"]["type"], answer.json()["error"]["code"]) == (
        "server_error",
        "timeout",
    )


async def test_bytes_that_are_no_text_have_error_and_detail(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/videos/%ff")

    said = "The path or the query holds bytes that are not UTF-8"
    assert answer.status_code == 400
    assert (answer.json()["error"]["message"], answer.json()["detail"]) == (said, said)


@pytest.mark.parametrize("path", ["/v1/videosx", "/v1/imagination", "/v2/videos", "/videos"])
async def test_other_paths_have_detail_alone(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)

    assert answer.json() == {"detail": "Not Found"}


@pytest.mark.parametrize(
    "headers",
    [
        {"user-agent": "OpenAI/Python 3.54.0"},
        {"user-agent": "AsyncOpenAI/Python 2.8.0"},
        {"user-agent": "own/1.0", "x-stainless-lang": "js"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/chat/completions", "/v1/responses/r_1"])
async def test_unknown_interface_has_error_and_detail_for_an_official_sdk(
    http: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    answer = await http.post(path, json={"model": "x"}, headers=headers)

    assert (answer.status_code, answer.json()["detail"]) == (404, "Not Found")
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", ["/v2/embeddings", "/outputs/a/b", "/video/nothing"])
async def test_other_interface_keeps_its_form_for_an_official_sdk(
    http: httpx.AsyncClient, path: str
) -> None:
    plain = await http.get(path)

    told = await http.get(path, headers={"user-agent": "OpenAI/Python 3.54.0"})

    assert told.json() == plain.json()


async def test_answers_about_a_call_have_error_and_detail(tmp_path: Path) -> None:
    options = GatewayOptions(upstream=f"{tmp_path}/s", port=0)
    async with (
        Gateway(options, tmp_path / "run", drain_seconds=0) as gateway,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", trust_env=False) as http,
    ):
        down = await http.get("/v1/videos/v1")
        method = await http.put("/v1/videos/v1")
        wan = await http.post("/video/status", json={})
        generation = await http.post("/generate", json={})

    assert (down.status_code, down.headers["retry-after"]) == (503, "5")
    assert down.json()["error"]["type"] == "server_error"
    assert down.json()["detail"] == "Service temporarily unavailable"
    assert (wan.status_code, wan.json()) == (
        503,
        {"detail": {"status": "Failed", "reason": "服务暂不可用，请稍后重试"}},
    )
    assert (generation.status_code, generation.json()) == (
        503,
        {
            "task_id": None,
            "status": "failed",
            "error": "Service temporarily unavailable",
            "code": "UNAVAILABLE",
        },
    )
    assert (method.status_code, method.headers["allow"]) == (405, "DELETE, GET")
    assert method.json()["error"]["code"] == "method_not_allowed"
