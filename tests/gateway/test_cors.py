"""What web pages of other origins may do and read."""

import httpx
import pytest

from telefuser_grpc.gateway.descriptors import HttpRoute, http_routes
from tests.gateway.conftest import LIMIT

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = "https://studio.example"
BROWSED = [each for each in http_routes() if each.verb != "HEAD"]


@pytest.mark.parametrize("route", BROWSED, ids=lambda each: f"{each.verb} {each.path_template}")
async def test_preflight_is_answered_on_every_documented_path(
    http: httpx.AsyncClient, route: HttpRoute
) -> None:
    headers = {
        "origin": PAGE,
        "access-control-request-method": route.verb,
        "access-control-request-headers": "content-type, x-stainless-os",
    }

    answer = await http.options(route.example, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert route.verb in answer.headers["access-control-allow-methods"].split(", ")
    assert answer.headers["access-control-max-age"] == "600"


SENT = [
    *("authorization", "content-type", "idempotency-key", "last-event-id", "range", "x-api-key"),
    *("if-none-match", "if-range", "x-request-id", "traceparent", "tracestate"),
    *("x-grpc-web", "x-user-agent", "grpc-timeout"),
    *("user-agent", "openai-beta", "openai-organization", "openai-project"),
]
SENT_BY_SDKS = [
    *("arch", "custom-poll-interval", "helper-method", "lang", "os", "package-version"),
    *("poll-helper", "retry-count", "runtime", "runtime-version", "timeout"),
]


async def test_headers_that_pages_send_are_allowed_by_name_and_all_others_too(
    http: httpx.AsyncClient,
) -> None:
    wanted = [*SENT, *(f"x-stainless-{name}" for name in SENT_BY_SDKS)]
    headers = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": ",".join(wanted),
    }

    answer = await http.options("/v1/videos", headers=headers)

    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert sorted(allowed) == sorted([*wanted, "*"])


READ = [
    *("x-request-id", "retry-after", "x-should-retry", "openai-poll-after-ms", "location", "allow"),
    *("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-window"),
    *("content-disposition", "content-range", "accept-ranges", "etag"),
    *("grpc-status", "grpc-message", "grpc-status-details-bin"),
]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/service/health", 200),
        ("GET", "/v1/tasks/%00/status", 400),
        ("GET", "/v1/tasks/missing/status", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/files/download/..%2fx", 403),
        ("GET", "/v1/files/download/large.mp4", 200),
        ("GET", "/v1/tasks/create", 405),
        ("POST", "/v1/tasks/create", 413),
        ("GET", "/v1/tasks/t/events?after_sequence=x", 422),
        ("GET", "/v1/tasks/broken/status", 500),
        ("GET", "/v1/tasks/full/status", 503),
        ("GET", "/v1/tasks/slow/status", 504),
    ],
)
async def test_page_can_read_every_answer(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    body = b"x" * (LIMIT + 1) if status == 413 else b""

    answer = await http.request(method, path, headers={"origin": PAGE}, content=body)

    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == PAGE
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert set(READ) <= set(exposed)
    assert "Origin" in answer.headers["vary"].split(", ")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://studio.example.evil"])
async def test_other_origins_are_told_nothing(http: httpx.AsyncClient, origin: str) -> None:
    headers = {"origin": origin, "access-control-request-method": "GET"}

    asked = await http.options("/v1/service/health", headers=headers)
    answer = await http.get("/v1/service/health", headers={"origin": origin})

    assert "access-control-allow-origin" not in asked.headers
    assert "access-control-allow-origin" not in answer.headers
