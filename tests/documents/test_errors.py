"""Errors: the documented status codes, the form of an error, and the rate limit."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from telefuser_grpc.gateway.options import GatewayOptions
from telefuser_grpc.gateway.process import Gateway
from tests.documents.samples import differences, json_sample
from tests.documents.serving import Served
from tests.gateway.upstream import Upstream, serving

REQUESTS_PER_MINUTE, BURST = 60, 10


@pytest.mark.parametrize(
    ("verb", "path", "body", "code"),
    [
        ("POST", "/v1/tasks/create", {"prompt": "p"}, 200),
        ("POST", "/v1/tasks/create", {"task": "i2v", "prompt": "p"}, 400),
        ("POST", "/v1/tasks/create", {"task": "vsr", "prompt": "p"}, 400),
        ("GET", "/v1/tasks/none/status", None, 404),
        ("GET", "/v1/files/download/none.mp4", None, 404),
        ("POST", "/v1/tasks/create", {"prompt": "p", "seed": "many"}, 422),
    ],
)
def test_status_code_means_what_is_documented(
    http: httpx.Client, verb: str, path: str, body: dict[str, str] | None, code: int
) -> None:
    answer = http.request(verb, path, json=body)

    assert answer.status_code == code
    assert ("detail" in answer.json()) is (code != 200)


def test_error_has_the_documented_form(http: httpx.Client) -> None:
    answer = http.post("/v1/tasks/create", json={"task": "no task!", "prompt": "p"})

    (given,), (documented,) = answer.json()["detail"], json_sample("error")["detail"]
    assert answer.status_code == 422
    assert differences(answer.json(), json_sample("error")) == []
    assert (given["loc"], given["type"]) == (documented["loc"], documented["type"])


async def test_fault_of_the_server_is_500_without_its_trace(tmp_path: Path) -> None:
    upstream = Upstream(tmp_path)
    options = GatewayOptions(upstream=f"{tmp_path}/s", port=0, access_log=False)
    async with (
        serving(upstream, f"unix:{tmp_path}/s"),
        Gateway(options, tmp_path / "run", drain_seconds=0) as gateway,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", trust_env=False) as http,
    ):
        answer = await http.get("/v1/tasks/broken/status")

    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})


@pytest.fixture(scope="module")
def limited(limited_service: Served) -> Iterator[httpx.Client]:
    """A client who may ask no more."""
    with limited_service.http() as http:
        codes = [_attempt(http).status_code for _ in range(REQUESTS_PER_MINUTE + BURST)]
        assert set(codes) == {422}
        yield http


def _attempt(http: httpx.Client) -> httpx.Response:
    return http.post("/v1/tasks/create", json={"seed": "many"})


def test_request_after_60_and_a_burst_of_10_is_429(limited: httpx.Client) -> None:
    answer = _attempt(limited)

    assert answer.status_code == 429
    assert answer.headers["x-ratelimit-limit"] == str(REQUESTS_PER_MINUTE)
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_health_is_exempt_from_the_limit(limited: httpx.Client) -> None:
    answers = [limited.get("/v1/service/health") for _ in range(REQUESTS_PER_MINUTE + BURST + 1)]

    assert {each.status_code for each in answers} == {200}
    assert "x-ratelimit-limit" not in answers[0].headers


def test_limit_is_that_of_an_address(limited: httpx.Client) -> None:
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=limited.base_url, transport=transport) as other:
        answer = _attempt(other)

    assert answer.status_code == 422
