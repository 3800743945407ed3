"""API keys at the gateway: who is let in, what others are told, and how keys change."""

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from telefuser_grpc._gen.telefuser.v1 import task_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2_grpc as task_grpc
from telefuser_grpc.domain.api_key import ApiKey, read_list
from telefuser_grpc.gateway.descriptors import http_routes
from telefuser_grpc.gateway.envoy import validate
from telefuser_grpc.gateway.keys import KEYS, is_public, write_keys
from telefuser_grpc.gateway.options import GatewayError, GatewayOptions
from telefuser_grpc.gateway.process import Gateway
from telefuser_grpc.gateway.render import write
from telefuser_grpc.server.interceptors.keys import PUBLIC_CALLS
from tests.gateway.upstream import Upstream, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

STUDIO, LAB = "sk-studio-0123456789abcdef", "sk-lab-0123456789abcdef"
OWNERS = read_list(f"studio:{STUDIO},lab:{LAB}")
STATUS = "/v1/tasks/t1/status"
MISSING = "No API key was given; send it as Authorization: Bearer <key> or as x-api-key: <key>"
SCHEME = "The Authorization header must be: Bearer <key>"
UNKNOWN = "The API key is not valid"
ORIGIN = "https://studio.example"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(folder: Path, upstream: Upstream) -> AsyncIterator[Gateway]:
    """The module's gateway, here with keys."""
    options = GatewayOptions(
        upstream=f"{folder}/server.sock",
        port=0,
        artifact_root=upstream.artifacts,
        cors_origins=(ORIGIN,),
        api_keys=OWNERS,
    )
    async with Gateway(options, folder / "run", drain_seconds=0.2) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("headers", "owner"),
    [
        ({"authorization": f"Bearer {STUDIO}"}, 0),
        ({"authorization": f"bearer {STUDIO}"}, 0),
        ({"authorization": f"BEARER   {LAB}"}, 1),
        ({"x-api-key": LAB}, 1),
        ({"authorization": "Basic dXNlcjpwYXNz", "x-api-key": LAB}, 1),
        ({"authorization": f"Bearer {STUDIO}", "x-api-key": "nonsense"}, 0),
        ({"authorization": f"Bearer {STUDIO}", "x-client-id": OWNERS[1].id}, 0),
    ],
)
async def test_server_is_told_whose_the_key_is_and_never_the_key(
    headers: dict[str, str], owner: int, http: httpx.AsyncClient, upstream: Upstream
) -> None:
    answer = await http.get(STATUS, headers=headers)

    told = upstream.last("GetTaskStatus")
    assert answer.status_code == 200
    assert told["x-client-id"] == OWNERS[owner].id
    assert not {"authorization", "x-api-key"} & told.keys()


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, MISSING),
        ({"x-client-id": OWNERS[0].id}, MISSING),
        ({"authorization": "Bearer wrong"}, UNKNOWN),
        ({"x-api-key": "wrong"}, UNKNOWN),
        ({"x-api-key": ""}, MISSING),
        ({"authorization": STUDIO}, SCHEME),
        ({"authorization": "Bearer"}, SCHEME),
        ({"authorization": ""}, MISSING),
        ({"authorization": f"Basic {STUDIO}"}, SCHEME),
        ({"authorization": f"Bearer {STUDIO} {LAB}"}, SCHEME),
        ({"authorization": f"Bearer {STUDIO[:-1]}"}, UNKNOWN),
        ({"authorization": f"Bearer {STUDIO.upper()}"}, UNKNOWN),
        ({"authorization": f"Bearer {OWNERS[0].digest}"}, UNKNOWN),
        ({"authorization": f"Bearer sha256:{OWNERS[0].digest}"}, UNKNOWN),
    ],
)
async def test_who_has_no_valid_key_is_told_what_is_wrong(
    headers: dict[str, str], message: str, http: httpx.AsyncClient
) -> None:
    answer = await http.get(STATUS, headers=headers)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert answer.json() == {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        },
        "detail": message,
    }


async def test_two_authorization_headers_are_no_key(http: httpx.AsyncClient) -> None:
    twice = [("authorization", f"Bearer {STUDIO}"), ("authorization", f"Bearer {LAB}")]

    answer = await http.get(STATUS, headers=twice)

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "缺少认证头"),
        ({"authorization": f"Basic {STUDIO}"}, "无效的认证方案"),
        ({"authorization": "Bearer wrong"}, "无效的API密钥"),
        ({"x-api-key": "wrong"}, "无效的API密钥"),
    ],
)
@pytest.mark.parametrize("path", ["/video/submit", "/video/status", "/video/cancel"])
async def test_video_paths_say_in_their_own_words_what_is_wrong(
    path: str, headers: dict[str, str], reason: str, http: httpx.AsyncClient
) -> None:
    answer = await http.post(path, headers=headers, json={})

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json() == {"detail": {"status": "Failed", "reason": reason}}


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/generate"), ("GET", "/outputs/video_20250405_100001.mp4")]
)
async def test_generation_paths_say_in_their_own_form_what_is_wrong(
    method: str, path: str, http: httpx.AsyncClient
) -> None:
    answer = await http.request(method, path)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json() == {
        "task_id": None,
        "status": "failed",
        "error": MISSING,
        "code": "UNAUTHENTICATED",
    }


@pytest.mark.parametrize("name", ["api_key", "API_KEY", "key", "token", "access_token", "apikey"])
async def test_key_in_the_address_is_not_taken_and_the_answer_says_where_it_belongs(
    name: str, http: httpx.AsyncClient
) -> None:
    answer = await http.get(f"{STATUS}?a=b&{name}={STUDIO}")

    assert answer.status_code == 401
    assert answer.json()["detail"] == (
        "An API key is not taken from the address, which ends up in logs; send it as"
        " Authorization: Bearer <key> or as x-api-key: <key>"
    )


async def test_key_in_the_address_goes_no_further(
    http: httpx.AsyncClient, upstream: Upstream
) -> None:
    headers = {"authorization": f"Bearer {STUDIO}"}

    answer = await http.post(
        f"/v1/tasks/create?x=1&api_key={LAB}&y=%20", headers=headers, json="echo"
    )

    assert answer.json()["original_path"] == "/v1/tasks/create?x=1&api_key=hidden&y=%20"
    assert LAB not in str(upstream.last("CreateTask"))


@pytest.mark.parametrize("path", ["/v1/service/health", "/docs", "/openapi.json", "/docs/assets/x"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
async def test_probes_and_documentation_need_no_key(
    path: str, headers: dict[str, str], http: httpx.AsyncClient
) -> None:
    answer = await http.get(path, headers=headers)

    assert answer.status_code == 200


async def test_every_documented_path_but_the_public_ones_needs_a_key(
    http: httpx.AsyncClient,
) -> None:
    answers = {
        route.example: (await http.request(route.verb, route.example)).status_code
        for route in http_routes()
    }

    open_to_all = {path for path, status in answers.items() if status != 401}
    assert open_to_all == {
        *("/v1/service/health", "/v1/service/ready", "/health"),
        *("/docs", "/docs/assets/x", "/redoc", "/openapi.json"),
        "/videos/x",
    }


async def test_gateway_and_server_agree_on_what_is_public() -> None:
    public = {f"/{each.service}/{each.method}" for each in http_routes() if is_public(each.example)}

    assert public == PUBLIC_CALLS


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/no/such/path"), ("PATCH", STATUS), ("HEAD", STATUS)]
)
async def test_nobody_learns_without_a_key_which_paths_there_are(
    method: str, path: str, http: httpx.AsyncClient
) -> None:
    answer = await http.request(method, path)

    assert answer.status_code == 401


async def test_metrics_need_a_key(http: httpx.AsyncClient) -> None:
    refused = await http.get("/v1/service/metrics")
    let_in = await http.get("/v1/service/metrics", headers={"x-api-key": STUDIO})

    assert (refused.status_code, let_in.status_code) == (401, 200)


async def test_preflight_needs_no_key_and_a_page_can_read_the_refusal(
    http: httpx.AsyncClient,
) -> None:
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }

    preflight = await http.options("/v1/tasks/create", headers=asked)
    refused = await http.post("/v1/tasks/create", headers={"origin": ORIGIN}, json={})

    assert preflight.status_code == 200
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN


async def test_file_is_asked_for_in_the_name_of_the_caller(
    http: httpx.AsyncClient, upstream: Upstream
) -> None:
    path = "/v1/files/download/tasks/t1/outputs/clip.mp4"

    refused = await http.get(path)
    sent = await http.get(path, headers={"x-api-key": LAB})

    assert (refused.status_code, sent.status_code) == (401, 200)
    assert upstream.asked["x-client-id"] == OWNERS[1].id
    assert LAB not in str(upstream.asked)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ((), MISSING),
        ((("authorization", "Bearer wrong"),), UNKNOWN),
        ((("authorization", STUDIO),), SCHEME),
        ((("x-client-id", OWNERS[0].id),), MISSING),
    ],
)
async def test_grpc_caller_without_a_valid_key_is_unauthenticated(
    metadata: Any, message: str, channel: grpc.aio.Channel
) -> None:
    call = task_grpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(), metadata=metadata)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert refused.value.details() == message


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", f"Bearer {LAB}"),),
        (("authorization", f"bearer {LAB}"),),
        (("x-api-key", LAB),),
        (("x-api-key", LAB), ("x-client-id", OWNERS[0].id)),
    ],
)
async def test_grpc_caller_is_named_to_the_server(
    metadata: Any, channel: grpc.aio.Channel, upstream: Upstream
) -> None:
    await task_grpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(), metadata=metadata)

    told = upstream.last("GetTask")
    assert told["x-client-id"] == OWNERS[1].id
    assert not {"authorization", "x-api-key"} & told.keys()


async def test_grpc_health_needs_no_key_but_reflection_does(channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)

    checked = await health.Check(health_pb2.HealthCheckRequest())
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await reflection.ServerReflectionInfo().read()

    assert checked.status == health_pb2.HealthCheckResponse.SERVING
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_grpc_web_caller_without_a_key_gets_401(http: httpx.AsyncClient) -> None:
    answer = await http.post(
        "/telefuser.v1.TaskService/GetTask",
        headers={"content-type": "application/grpc-web+proto"},
        content=bytes(5),
    )

    assert answer.status_code == 401


async def test_keys_change_without_a_restart(tmp_path: Path) -> None:
    async with _gateway(tmp_path, OWNERS[:1]) as (gateway, http):
        before = await _status(http, STUDIO), await _status(http, LAB)

        gateway.replace_keys(OWNERS[1:])
        await _until(lambda: _lets_in(http, LAB))

        assert before == (200, 401)
        assert await _status(http, STUDIO) == 401


async def test_broken_file_changes_no_key(tmp_path: Path) -> None:
    async with _gateway(tmp_path, OWNERS[:1]) as (_, http):
        broken = tmp_path / "run" / "broken"
        broken.write_text("resources: [")
        broken.replace(tmp_path / "run" / KEYS)
        await _until(lambda: _has_refused_a_file(tmp_path / "run" / "admin.sock"))

        assert await _status(http, STUDIO) == 200
        assert await _status(http, LAB) == 401


async def test_two_keys_of_one_caller_hold_side_by_side(tmp_path: Path) -> None:
    keys = read_list(f"studio:{STUDIO},studio:{LAB}")
    async with _gateway(tmp_path, keys) as (_, http):
        assert await _status(http, STUDIO) == await _status(http, LAB) == 200


async def test_restarted_envoy_knows_the_keys_of_now(tmp_path: Path) -> None:
    async with _gateway(tmp_path, OWNERS[:1]) as (gateway, http):
        gateway.replace_keys(OWNERS[1:])

        os.kill(gateway.pid, signal.SIGKILL)
        await _until(lambda: _lets_in(http, LAB))

        assert await _status(http, STUDIO) == 401


async def test_file_of_keys_is_its_owners_alone_and_never_half_written(tmp_path: Path) -> None:
    write_keys(OWNERS[:1], tmp_path)
    write_keys(OWNERS, tmp_path)

    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(key in file.read_text() for key in (STUDIO, LAB))


async def test_key_known_by_its_digest_alone_cannot_be_given_to_envoy(tmp_path: Path) -> None:
    hashed = read_list(f"lab:sha256:{'0' * 64}")

    with pytest.raises(GatewayError, match=r"the key of lab is given as its SHA-256.*--no-gateway"):
        write_keys(hashed, tmp_path)

    assert list(tmp_path.iterdir()) == []


async def test_envoy_accepts_the_configuration_with_keys(tmp_path: Path) -> None:
    write(GatewayOptions(upstream="/s", api_keys=OWNERS, artifact_root=tmp_path), tmp_path)

    validate(tmp_path)


async def test_without_keys_nothing_is_checked(tmp_path: Path) -> None:
    async with _gateway(tmp_path, ()) as (_, http):
        assert await _status(http, "whatever") == 200

    assert not (tmp_path / "run" / KEYS).exists()


@asynccontextmanager
async def _gateway(
    folder: Path, keys: tuple[ApiKey, ...]
) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    options = GatewayOptions(upstream=f"{folder}/s", port=0, api_keys=keys)
    async with (
        serving(Upstream(folder), f"unix:{folder}/s"),
        Gateway(options, folder / "run", drain_seconds=0) as gateway,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", trust_env=False) as http,
    ):
        yield gateway, http


async def _status(http: httpx.AsyncClient, key: str) -> int:
    return (await http.get(STATUS, headers={"authorization": f"Bearer {key}"})).status_code


async def _until(happens: Callable[[], Awaitable[bool]]) -> None:
    """Asks until Envoy has taken notice, of which it tells nobody."""
    async with asyncio.timeout(10):
        while not await happens():  # noqa: ASYNC110 - Envoy does not announce it
            await asyncio.sleep(0.01)


async def _lets_in(http: httpx.AsyncClient, key: str) -> bool:
    try:
        return await _status(http, key) == 200
    except httpx.TransportError:
        return False


async def _has_refused_a_file(admin: Path) -> bool:
    transport = httpx.AsyncHTTPTransport(uds=str(admin))
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as http:
        counted = await http.get("/stats?filter=api-keys.update_failure")
    return counted.text.endswith("update_failure: 1\n")
