"""What the gateway itself decides for the Image-to-Video API: its limit, its errors, its page."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from telefuser_grpc.gateway.options import GatewayError, GatewayOptions, RateLimit
from telefuser_grpc.gateway.process import Gateway
from tests.fakes.ports import free_port
from tests.gateway.upstream import Upstream, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT, WINDOW = 10, 3600
BODY_LIMIT = 1000
ADDRESSES = (f"127.0.1.{number}" for number in itertools.count(2))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream(folder: Path, artifacts: Path) -> AsyncIterator[Upstream]:
    upstream = Upstream(artifacts)
    async with serving(upstream, f"unix:{folder}/server.sock"):
        yield upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(folder: Path, upstream: Upstream) -> AsyncIterator[Gateway]:
    options = GatewayOptions(
        upstream=f"{folder}/server.sock",
        port=0,
        ui_port=free_port(),
        max_json_body_bytes=BODY_LIMIT,
        rate_limit=RateLimit(requests_per_minute=60, burst=10, window_seconds=WINDOW),
        access_log=False,
    )
    async with Gateway(options, folder / "run", drain_seconds=0) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="module")
async def http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """A client whom the gateway has never seen."""
    transport = httpx.AsyncHTTPTransport(local_address=next(ADDRESSES))
    url = f"http://127.0.0.1:{gateway.port}"
    async with httpx.AsyncClient(base_url=url, transport=transport) as client:
        yield client


def failure(code: str, error: str) -> dict[str, str | None]:
    return {"task_id": None, "status": "failed", "error": error, "code": code}


async def test_ten_generations_pass_within_a_minute_and_no_burst_beyond(
    http: httpx.AsyncClient,
) -> None:
    paths = itertools.islice(itertools.cycle(["/generate", "/v1/generate"]), LIMIT + 2)

    answers = [await http.post(path, json={}) for path in paths]

    refused = answers[LIMIT]
    assert [each.status_code == 429 for each in answers] == [False] * LIMIT + [True] * 2
    assert refused.json() == failure("RATE_LIMITED", "Too many requests")
    assert int(refused.headers["retry-after"]) > 0
    assert answers[0].headers["x-ratelimit-limit"] == str(LIMIT)
    assert answers[0].headers["x-ratelimit-remaining"] == str(LIMIT - 1)


async def test_who_may_generate_no_more_may_still_do_all_else(http: httpx.AsyncClient) -> None:
    for _ in range(LIMIT + 1):
        last = await http.post("/generate", json={})

    other = await http.post("/v1/tasks/create", json={})

    assert (last.status_code, other.status_code) == (429, 200)
    assert other.headers["x-ratelimit-limit"] == "60"


async def test_health_is_never_limited(http: httpx.AsyncClient) -> None:
    answer = await http.get("/health")

    assert "x-ratelimit-limit" not in answer.headers


async def test_body_that_is_too_large_is_refused_in_the_documented_form(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.post("/generate", json={"image_base64": "A" * BODY_LIMIT})

    assert answer.status_code == 413
    assert answer.json() == failure("INVALID_ARGUMENT", "The request body is too large")


async def test_wrong_verb_is_refused_in_the_documented_form(http: httpx.AsyncClient) -> None:
    answer = await http.get("/generate")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json() == failure("INVALID_ARGUMENT", "Method Not Allowed")


async def test_port_for_people_leads_to_the_page_and_serves_all_else_too(
    gateway: Gateway, http: httpx.AsyncClient
) -> None:
    url = f"http://127.0.0.1:{gateway.options.ui_port}"

    home = await http.get(f"{url}/")
    other = await http.get(f"{url}/v1/unknown")

    assert (home.status_code, home.headers["location"].endswith("/docs/assets/studio.html")) == (
        302,
        True,
    )
    assert (other.status_code, other.json()) == (404, {"detail": "Not Found"})


async def test_taken_port_for_people_is_told(folder: Path, gateway: Gateway) -> None:
    options = GatewayOptions(upstream="/s", port=0, ui_port=gateway.options.ui_port)

    with pytest.raises(GatewayError, match=f"{gateway.options.ui_port} is in use"):
        async with Gateway(options, folder / "second"):
            pass
