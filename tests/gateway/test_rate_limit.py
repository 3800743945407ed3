"""How often a client may ask, through a real Envoy whose buckets hardly fill while a test runs."""

import asyncio
import itertools
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import httpx
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from telefuser_grpc._gen.telefuser.rest.v1 import rest_task_service_pb2 as rest_pb
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2_grpc as task_grpc
from telefuser_grpc.gateway import render
from telefuser_grpc.gateway.descriptors import HttpRoute, http_routes
from telefuser_grpc.gateway.options import GatewayOptions, RateLimit
from telefuser_grpc.gateway.process import Gateway
from tests.gateway.upstream import Upstream, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT, BURST, WINDOW = 3, 1, 3600
ADDRESSES = (f"127.0.0.{number}" for number in itertools.count(2))
PAGE = "https://studio.example"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream(folder: Path, artifacts: Path) -> AsyncIterator[Upstream]:
    upstream = Upstream(artifacts)
    async with serving(upstream, f"unix:{folder}/server.sock"):
        yield upstream


@pytest.fixture(scope="module")
def routes_of_tomorrow() -> Iterator[None]:
    """Documents a path of OpenAI's, so that the gateway knows what it costs."""
    video = HttpRoute(
        service="telefuser.rest.v1.RestTaskService",
        method="CreateVideo",
        verb="POST",
        path_template="/v1/videos",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "http_routes", lambda face: [*http_routes(face), video])
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    folder: Path, upstream: Upstream, routes_of_tomorrow: None
) -> AsyncIterator[Gateway]:
    options = GatewayOptions(
        upstream=f"{folder}/server.sock",
        port=0,
        artifact_root=upstream.artifacts,
        cors_origins=(PAGE,),
        rate_limit=RateLimit(requests_per_minute=LIMIT, burst=BURST, window_seconds=WINDOW),
        access_log=False,
    )
    async with Gateway(options, folder / "run", drain_seconds=0) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="module")
async def http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """A client whom the gateway has never seen."""
    async with _client(gateway) as client:
        yield client


async def test_refusal_that_comes_before_the_limit_is_worded_all_the_same(
    http: httpx.AsyncClient,
) -> None:
    refused = await http.get("/v1/videos/%ff")

    assert refused.status_code == 400
    assert refused.json()["error"]["message"].endswith("bytes that are not UTF-8")


def _client(gateway: Gateway) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{gateway.port}",
        transport=httpx.AsyncHTTPTransport(local_address=next(ADDRESSES)),
    )


async def _spend(http: httpx.AsyncClient, tokens: int = LIMIT + BURST) -> None:
    for _ in range(tokens):
        assert (await http.post("/v1/tasks/create", json={})).status_code == 200


async def test_limit_and_burst_pass_and_the_next_is_refused(http: httpx.AsyncClient) -> None:
    answers = [await http.post("/v1/tasks/create", json={}) for _ in range(LIMIT + BURST + 2)]

    assert [each.status_code for each in answers] == [200] * (LIMIT + BURST) + [429, 429]


async def test_refusal_has_the_documented_body(http: httpx.AsyncClient) -> None:
    await _spend(http)

    answer = await http.post("/v1/tasks/create", json={}, headers={"x-request-id": "r-1"})

    error = answer.json()["detail"]["error"]
    details = error["details"]
    assert set(answer.json()) == {"detail"}
    assert set(answer.json()["detail"]) == {"error"}
    assert set(error) == {"code", "message", "request_id", "details"}
    assert (error["code"], error["message"]) == ("RATE_LIMIT_EXCEEDED", "Too many requests")
    assert error["request_id"] == answer.headers["x-request-id"] == "r-1"
    assert (details["limit"], details["window_seconds"]) == (LIMIT, WINDOW)
    assert details["retry_after_seconds"] == int(answer.headers["retry-after"])
    assert str(details["retry_after_seconds"]) in details["friendly_message"]
    assert len(details["suggestions"]) == 3
    assert answer.headers["content-type"] == "application/json"


async def test_refusal_of_wan_has_the_body_of_that_interface(http: httpx.AsyncClient) -> None:
    await _spend(http)

    answer = await http.post("/video/submit", json={})

    assert (answer.status_code, answer.json()) == (
        429,
        {"detail": {"status": "Failed", "reason": "请求过于频繁，请稍后重试"}},
    )
    assert int(answer.headers["retry-after"]) > 0


async def test_retry_after_is_the_time_until_the_next_token(http: httpx.AsyncClient) -> None:
    await _spend(http)

    answer = await http.post("/v1/tasks/create", json={})

    assert WINDOW / LIMIT - 20 <= int(answer.headers["retry-after"]) <= WINDOW / LIMIT


async def test_limited_answers_tell_the_limit_what_is_left_and_the_window(
    http: httpx.AsyncClient,
) -> None:
    answers = [await http.post("/v1/tasks/create", json={}) for _ in range(LIMIT + BURST + 1)]

    told = [_rate(each) for each in answers]
    assert told == [("3", "2", "3600"), ("3", "1", "3600"), *[("3", "0", "3600")] * 3]
    assert all(each.headers["x-request-id"] for each in answers)
    assert all("x-ratelimit-reset" not in each.headers for each in answers)
    assert all("x-rate-limited" not in each.headers for each in answers)


async def test_creating_uploading_and_downloading_share_a_bucket(http: httpx.AsyncClient) -> None:
    assert (await http.post("/v1/tasks/create", json={})).status_code == 200
    assert (await http.post("/v1/tasks/form", data={"task": "t2v"})).status_code == 200
    assert (await http.get("/v1/files/download/large.mp4")).status_code == 200
    assert (await http.get("/v1/files/download/no.mp4")).status_code == 404

    assert (await http.post("/v1/tasks/create", json={})).status_code == 429
    assert (await http.post("/v1/tasks/form", data={"task": "t2v"})).status_code == 429
    assert (await http.get("/v1/files/download/large.mp4")).status_code == 429


async def test_slashes_and_escapes_open_no_other_bucket(http: httpx.AsyncClient) -> None:
    await _spend(http)

    for path in ("/v1/tasks/create/", "/v1/tasks//create", "/v1/tasks/create?x=1"):
        assert (await http.post(path, json={})).status_code == 429
    for path in ("/v1/tasks/%63reate", "/v1/tasks%2fcreate", "/v1/x/../tasks/%2e/create"):
        assert (await http.post(path, json={})).status_code in (404, 405)


async def test_every_client_has_its_own_buckets(http: httpx.AsyncClient, gateway: Gateway) -> None:
    await _spend(http)

    async with _client(gateway) as other:
        assert (await other.post("/v1/tasks/create", json={})).status_code == 200


async def test_new_connection_is_no_new_client(http: httpx.AsyncClient) -> None:
    for _ in range(LIMIT + BURST):
        await http.post("/v1/tasks/create", json={}, headers={"connection": "close"})

    assert (await http.post("/v1/tasks/create", json={})).status_code == 429


async def test_forged_forwarded_for_helps_nobody(http: httpx.AsyncClient) -> None:
    await _spend(http)

    forged = {"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9"}
    assert (await http.post("/v1/tasks/create", json={}, headers=forged)).status_code == 429


async def test_reads_have_ten_times_as_many(http: httpx.AsyncClient) -> None:
    await _spend(http)

    answers = [await http.get("/v1/tasks/t1/status") for _ in range(10 * LIMIT + BURST + 1)]

    assert [each.status_code for each in answers] == [200] * (10 * LIMIT + BURST) + [429]
    assert _rate(answers[0]) == ("30", "29", "3600")
    assert answers[-1].json()["detail"]["error"]["details"]["limit"] == 30


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/tasks"),
        ("GET", "/v1/tasks/t1/status"),
        ("GET", "/v1/tasks/queue/status"),
        ("DELETE", "/v1/tasks/t1"),
        ("GET", "/v1/tasks/missing/events"),
        ("HEAD", "/v1/files/download/large.mp4"),
        ("GET", "/v1/service/status"),
        ("GET", "/v1/service/metadata"),
        ("GET", "/docs"),
        ("GET", "/docs/assets/x.js"),
        ("GET", "/openapi.json"),
    ],
)
async def test_cheap_call_takes_from_the_bucket_of_reads(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await http.request(method, path)

    assert _rate(answer) == ("30", "29", "3600")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/service/health",
        "/v1/service/ready",
        "/v1/service/metrics",
        "/v1/service/metrics/json",
        "/v1/nothing",
    ],
)
async def test_probe_is_free(http: httpx.AsyncClient, path: str) -> None:
    answers = [await http.get(path) for _ in range(10 * LIMIT + BURST + 2)]

    assert 429 not in {each.status_code for each in answers}
    assert not any(name.startswith("x-ratelimit") for name in answers[-1].headers)


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
async def test_method_that_a_path_has_not_is_free(http: httpx.AsyncClient, method: str) -> None:
    await _spend(http)

    answer = await http.request(method, "/v1/tasks/create")

    assert answer.status_code == 405
    assert "x-ratelimit-limit" not in answer.headers


async def test_preflight_is_free(http: httpx.AsyncClient) -> None:
    await _spend(http)

    headers = {"origin": PAGE, "access-control-request-method": "POST"}
    assert (await http.options("/v1/tasks/create", headers=headers)).status_code == 200


async def test_web_page_can_read_the_refusal(http: httpx.AsyncClient) -> None:
    await _spend(http)

    answer = await http.post("/v1/tasks/create", json={}, headers={"origin": PAGE})

    assert answer.status_code == 429
    assert answer.headers["access-control-allow-origin"] == PAGE
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"retry-after", "x-ratelimit-limit", "x-ratelimit-remaining"} <= set(exposed)


async def test_refused_head_has_no_body(http: httpx.AsyncClient) -> None:
    for _ in range(10 * LIMIT + BURST):
        await http.head("/v1/files/download/large.mp4")

    answer = await http.head("/v1/files/download/large.mp4")

    assert (answer.status_code, answer.content) == (429, b"")
    assert int(answer.headers["retry-after"]) > 0
    assert (await http.get("/v1/service/health")).status_code == 200


async def test_native_creation_is_limited_as_that_over_rest(
    gateway: Gateway, channel: grpc.aio.Channel
) -> None:
    tasks = task_grpc.TaskServiceStub(channel)
    for _ in range(LIMIT + BURST):
        await tasks.CreateTask(pb.CreateTaskRequest(prompt="x"))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await tasks.CreateTask(pb.CreateTaskRequest(prompt="x"))

    metadata = dict(caught.value.trailing_metadata() or ()) | dict(
        caught.value.initial_metadata() or ()
    )
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == "Too many requests; wait as long as retry-after says"
    assert int(str(metadata["retry-after"])) > 0
    assert metadata["x-request-id"]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}") as rest:
        assert (await rest.post("/v1/tasks/create", json={})).status_code == 429


async def test_native_reads_and_health_are_free(channel: grpc.aio.Channel) -> None:
    tasks, health = task_grpc.TaskServiceStub(channel), health_pb2_grpc.HealthStub(channel)

    for _ in range(10 * LIMIT + BURST + 2):
        await tasks.GetTask(pb.GetTaskRequest(task_id="t1"))
        await health.Check(health_pb2.HealthCheckRequest())


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("telefuser.v1.TaskService/CreateTask", pb.CreateTaskRequest()),
        ("telefuser.rest.v1.RestTaskService/CreateTask", rest_pb.CreateTaskRequest()),
        ("telefuser.rest.v1.RestTaskService/CreateTaskFromForm", rest_pb.CreateTaskRequest()),
    ],
)
async def test_no_protocol_is_a_way_around(
    http: httpx.AsyncClient, rpc: str, request_: pb.CreateTaskRequest
) -> None:
    await _spend(http)

    data = request_.SerializeToString()
    answer = await http.post(
        f"/{rpc}",
        content=b"\0" + struct.pack(">I", len(data)) + data,
        headers={"content-type": "application/grpc-web+proto"},
    )

    assert answer.status_code == 429
    assert answer.headers["grpc-message"] == "Too many requests; wait as long as retry-after says"


async def test_refusal_on_a_path_of_openai_has_both_keys(http: httpx.AsyncClient) -> None:
    await _spend(http)

    answer = await http.post("/v1/videos", json={})

    assert answer.status_code == 429
    assert answer.json()["error"] == {
        "message": "Too many requests",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert answer.json()["detail"]["error"]["code"] == "RATE_LIMIT_EXCEEDED"


async def test_without_a_burst_the_61st_is_refused(folder: Path, upstream: Upstream) -> None:
    limit = RateLimit(requests_per_minute=60, burst=0, window_seconds=WINDOW)
    async with _other(folder, upstream, rate_limit=limit) as gateway, _client(gateway) as http:
        answers = [await http.post("/v1/tasks/create", json={}) for _ in range(61)]

    assert [each.status_code for each in answers] == [200] * 60 + [429]
    assert (_rate(answers[0]), _rate(answers[59])) == (("60", "59", "3600"), ("60", "0", "3600"))


async def test_who_waits_as_told_may_go_on(folder: Path, upstream: Upstream) -> None:
    limit = RateLimit(requests_per_minute=1, burst=0, window_seconds=2)
    async with _other(folder, upstream, rate_limit=limit) as gateway, _client(gateway) as http:
        first = await http.post("/v1/tasks/create", json={})
        refused = await http.post("/v1/tasks/create", json={})
        await asyncio.sleep(int(refused.headers["retry-after"]))
        after = await http.post("/v1/tasks/create", json={})

    assert (first.status_code, refused.status_code, after.status_code) == (200, 429, 200)
    assert refused.headers["retry-after"] in ("1", "2")


async def test_behind_a_trusted_proxy_the_client_is_whom_it_names(
    folder: Path, upstream: Upstream
) -> None:
    limit = RateLimit(requests_per_minute=1, burst=0, window_seconds=WINDOW)
    codes = []
    async with (
        _other(folder, upstream, rate_limit=limit, trusted_proxies=1) as gateway,
        _client(gateway) as http,
    ):
        for forwarded in ("10.0.0.1", "10.0.0.2", "10.0.0.3, 10.0.0.1", "10.0.0.1, 10.0.0.4"):
            headers = {"x-forwarded-for": forwarded}
            answer = await http.post("/v1/tasks/create", json={}, headers=headers)
            codes.append(answer.status_code)

    assert codes == [200, 200, 429, 200]


async def test_ipv6_network_is_one_client(folder: Path, upstream: Upstream) -> None:
    limit = RateLimit(requests_per_minute=1, burst=0, window_seconds=WINDOW)
    codes = []
    async with (
        _other(folder, upstream, rate_limit=limit, trusted_proxies=1) as gateway,
        _client(gateway) as http,
    ):
        for address in ("2001:db8:1:1::1", "2001:db8:1:1::2", "2001:db8:1:2::1"):
            headers = {"x-forwarded-for": address}
            answer = await http.post("/v1/tasks/create", json={}, headers=headers)
            codes.append(answer.status_code)

    assert codes == [200, 429, 200]


async def test_without_a_limit_nothing_is_counted(folder: Path, upstream: Upstream) -> None:
    async with _other(folder, upstream) as gateway, _client(gateway) as http:
        answers = [await http.post("/v1/tasks/create", json={}) for _ in range(80)]

    assert {each.status_code for each in answers} == {200}
    assert "x-ratelimit-limit" not in answers[0].headers


def _other(folder: Path, upstream: Upstream, **options: object) -> Gateway:
    name = f"run{next(_numbers)}"
    there = GatewayOptions(upstream=f"{folder}/server.sock", port=0, access_log=False, **options)
    return Gateway(there, folder / name, drain_seconds=0)


_numbers = itertools.count()


def _rate(answer: httpx.Response) -> tuple[str, ...]:
    return tuple(answer.headers[f"x-ratelimit-{each}"] for each in ("limit", "remaining", "window"))
