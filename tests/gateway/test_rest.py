"""What REST callers send and get through a real Envoy."""

import asyncio
import json
import re
from urllib.parse import quote

import httpx
import pytest

from telefuser_grpc.gateway.process import Gateway
from tests.gateway.conftest import LIMIT, exchange
from tests.gateway.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = "application/json"


async def test_body_arrives_and_returns_byte_for_byte(http: httpx.AsyncClient) -> None:
    body = b'{"seed": 9007199254740993, "guidance_scale": 4.0, "extra": {"a": null}}'

    answer = await http.post("/v1/tasks/create", content=body, headers={"content-type": JSON})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == JSON
    assert answer.text == (
        '{"echo":{"seed":9007199254740993,"guidance_scale":4.0,"extra":{"a":null}},"error":null,'
        f'"bytes":{len(body)},"content_type":"application/json",'
        '"original_path":"/v1/tasks/create"}'
    )


async def test_literal_path_wins_over_a_variable(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/tasks/queue/status")).json() == {"pending_count": 0}
    assert (await http.get("/v1/tasks/queues/status")).json()["task_id"] == "queues"


@pytest.mark.parametrize(
    "path", ["//v1//service///health", "/v1/service/health/", "/v1/service/health//"]
)
async def test_slash_too_many_is_ignored(gateway: Gateway, path: str) -> None:
    answer = await exchange(gateway.port, _get(path))

    assert answer.startswith("HTTP/1.1 200 ")
    assert answer.endswith('\r\n\r\n{"status":"healthy"}')


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tasks/../service/./health",
        "/v1/service/%2e%2e/service/health",
        "/v1/s%65rvice/health",
        "/v1/service/health;x=1",
        "/v1/service%2fhealth",
    ],
)
async def test_path_is_taken_as_it_is_written(gateway: Gateway, path: str) -> None:
    answer = await exchange(gateway.port, _get(path))

    assert answer.startswith("HTTP/1.1 404 ")
    assert answer.endswith('\r\n\r\n{"detail":"Not Found"}')


async def test_escaped_slash_belongs_to_the_value(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/tasks/a%2Fb/status")).json()["task_id"] == "a/b"


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()


async def test_server_chooses_the_status_of_a_success(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/tasks/create", json="accepted")

    assert answer.status_code == 202


async def test_no_internals_reach_a_rest_caller(http: httpx.AsyncClient) -> None:
    for path in ("/v1/service/health", "/v1/tasks/missing/status", "/v1/tasks/bare/status"):
        answer = await http.get(path)

        assert set(answer.headers) == {
            "content-length",
            "content-type",
            "date",
            "server",
            "vary",
            "x-request-id",
        }
        assert answer.headers["server"] == "telefuser"


async def test_plain_text_keeps_its_type(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/service/metrics")

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text == "telefuser_up 1\n"


async def test_answer_larger_than_the_buffers_arrives(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/tasks/large/status")

    assert len(answer.json()["data"]) == 3_000_000


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        (
            "GET",
            "/v1/tasks/missing/status",
            404,
            '{"detail": "Task not found: 100% \\"quoted\\" \\u00fc"}',
        ),
        ("GET", "/v1/tasks/taken/status", 409, '{"detail": "Task ID taken already exists"}'),
        ("GET", "/v1/tasks/full/status", 503, '{"detail": "Task queue is full (max 2 tasks)"}'),
        ("GET", "/v1/tasks/bare/status", 404, '{"detail":"not \\"here\\""}'),
        ("GET", "/v1/tasks/broken/status", 500, '{"detail":"Internal Server Error"}'),
        ("GET", "/v1/service/ready", 501, '{"detail":"Not Implemented"}'),
        ("GET", "/v1/tasks/slow/status", 504, '{"detail":"The server did not answer in time"}'),
        ("GET", "/v1/nothing", 404, '{"detail":"Not Found"}'),
        ("GET", "/", 404, '{"detail":"Not Found"}'),
        ("POST", "/telefuser.v1.TaskService/GetTask", 404, '{"detail":"Not Found"}'),
        ("POST", "/envoy.service.auth.v3.Authorization/Check", 404, '{"detail":"Not Found"}'),
        ("GET", "/v1/tasks/create", 405, '{"detail":"Method Not Allowed"}'),
        (
            "GET",
            "/v1/tasks/t/events?after_sequence=soon",
            422,
            '{"detail":[{"loc":["query","after_sequence"],"msg":"Input should be a valid integer",'
            '"type":"int_parsing"}]}',
        ),
    ],
)
async def test_error_is_the_documented_json(
    http: httpx.AsyncClient, method: str, path: str, status: int, body: str
) -> None:
    answer = await http.request(method, path)

    assert (answer.status_code, answer.text) == (status, body)
    assert answer.headers["content-type"] == JSON
    assert answer.headers["x-request-id"]


async def test_malformed_body_gets_the_servers_list(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/tasks/create", content=b"{nonsense")

    assert answer.status_code == 422
    assert answer.text == (
        '{"detail": [{"loc": ["body", 1], "msg": "JSON decode error", "type": "json_invalid"}]}'
    )


async def test_retry_after_of_the_server_arrives(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/tasks/full/status")).headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/tasks/create", "DELETE, POST"),
        ("PATCH", "/v1/tasks/t1", "DELETE"),
        ("POST", "/v1/tasks/queue/status", "GET"),
        ("POST", "/v1/files/download/a/b.mp4", "GET, HEAD"),
        ("OPTIONS", "/v1/service/health", "GET"),
        ("HEAD", "/v1/service/health", "GET"),
    ],
)
async def test_wrong_method_names_the_right_ones(
    http: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await http.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_over_the_limit_is_refused(http: httpx.AsyncClient, *, chunked: bool) -> None:
    async def pieces():
        for _ in range(3):
            yield b"x" * (LIMIT // 2)

    body = pieces() if chunked else b"x" * (LIMIT + 1)

    answer = await http.post("/v1/tasks/create", content=body)

    assert answer.status_code == 413
    assert answer.text == '{"detail":"The request body is too large"}'


async def test_body_at_the_limit_is_taken(http: httpx.AsyncClient) -> None:
    body = b'"' + b"x" * (LIMIT - 2) + b'"'

    answer = await http.post("/v1/tasks/create", content=body)

    assert answer.json()["bytes"] == LIMIT


async def test_too_many_headers_are_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/service/health", headers={"x-large": "x" * 70_000})

    assert (answer.status_code, answer.text) == (
        431,
        '{"detail":"Request Header Fields Too Large"}',
    )


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("/v1/tasks/%00/status", "a NUL character"),
        ("/v1/tasks?page_token=%00", "a NUL character"),
        ("/v1/tasks/%ff/status", "bytes that are not UTF-8"),
        ("/v1/tasks/%c3/status", "bytes that are not UTF-8"),
        ("/v1/tasks/%ed%a0%80/status", "bytes that are not UTF-8"),
        ("/v1/tasks/%c0%80/status", "bytes that are not UTF-8"),
        ("/v1/tasks/%F5%80%80%80/status", "bytes that are not UTF-8"),
        ("/v1/tasks?page_token=a%80", "bytes that are not UTF-8"),
        ("/v1/files/download/%e4.mp4", "bytes that are not UTF-8"),
    ],
)
async def test_bytes_that_are_no_text_never_reach_the_server(
    http: httpx.AsyncClient, upstream: Upstream, target: str, what: str
) -> None:
    upstream.calls.clear()

    answer = await http.get(target)

    assert (answer.status_code, answer.json()) == (
        400,
        {"detail": f"The path or the query holds {what}"},
    )
    assert upstream.calls == []


@pytest.mark.parametrize("name", ["ü", "字", "😀", "\ud7ff", "\uffff", "\U0010ffff", "a%b", "100%"])
async def test_text_of_any_script_arrives(http: httpx.AsyncClient, name: str) -> None:
    answer = await http.get(f"/v1/tasks/{quote(name)}/status")

    assert answer.json()["task_id"] == name


async def test_websocket_is_refused(http: httpx.AsyncClient) -> None:
    headers = {"connection": "upgrade", "upgrade": "websocket"}

    answer = await http.get("/v1/service/health", headers=headers)

    assert (answer.status_code, answer.text) == (403, '{"detail":"Forbidden"}')


@pytest.mark.parametrize("given", ["abc", "A-1_b.c", "x" * 128])
async def test_sane_request_id_is_kept(
    http: httpx.AsyncClient, upstream: Upstream, given: str
) -> None:
    answer = await http.get("/v1/service/health", headers={"x-request-id": given})

    assert answer.headers["x-request-id"] == given
    assert upstream.last("GetHealth")["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", 'a"b', "ü", "x" * 129, None])
async def test_request_id_is_made_up_where_none_is_sane(
    http: httpx.AsyncClient, upstream: Upstream, given: str | None
) -> None:
    headers = {} if given is None else {"x-request-id": given.encode()}

    answer = await http.get("/v1/service/health", headers=headers)

    made_up = answer.headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made_up)
    assert upstream.last("GetHealth")["x-request-id"] == made_up


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b'GET /v1/x#y HTTP/1.1\r\nhost: x\r\nx-request-id: "bad"\r\n\r\n', 400),
        (b"GET /v1/tasks/%00/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 400),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\ncookie: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        (b"GET /v1/tasks/create HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405),
        (b"POST /v1/tasks/create HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n", 413),
    ],
)
async def test_no_refusal_is_without_a_request_id(
    gateway: Gateway, request_: bytes, status: int
) -> None:
    head, _, body = (await exchange(gateway.port, request_)).partition("\r\n\r\n")

    assert head.startswith(f"HTTP/1.1 {status} ")
    assert re.search(r"\r\nx-request-id: [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\r|$)", head)
    assert "\r\ncontent-type: application/json" in head
    assert set(json.loads(body)) == {"detail"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/tasks/create", 200),
        ("GET", "/v1/tasks/t1/events", 200),
        ("GET", "/v1/files/download/large.mp4", 200),
        ("HEAD", "/v1/files/download/large.mp4", 200),
        ("GET", "/v1/files/download/none.mp4", 404),
        ("GET", "/v1/tasks/broken/status", 500),
        ("GET", "/v1/tasks/full/status", 503),
        ("GET", "/v1/tasks/slow/status", 504),
    ],
)
async def test_every_answer_has_the_request_id_of_its_caller(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    headers = {"x-request-id": "mine"}

    async with http.stream(method, path, headers=headers) as answer:
        told = (answer.status_code, answer.headers["x-request-id"])

    assert told == (status, "mine")


async def test_two_request_ids_are_none(gateway: Gateway, upstream: Upstream) -> None:
    request = b"GET /v1/service/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"

    answer = await exchange(gateway.port, request + b"x-request-id: a\r\nx-request-id: b\r\n\r\n")

    sent_on = upstream.last("GetHealth")["x-request-id"]
    assert len(sent_on) == 36
    assert answer.count("x-request-id") == 1
    assert f"x-request-id: {sent_on}\r\n" in answer


async def test_caller_cannot_say_what_only_the_gateway_may(
    http: httpx.AsyncClient, upstream: Upstream
) -> None:
    forged = {"x-envoy-original-path": "/forged", "x-client-id": "root"}

    answer = await http.get("/v1/service/health", headers=forged)

    assert answer.status_code == 200
    metadata = upstream.last("GetHealth")
    assert metadata["x-envoy-original-path"] == "/v1/service/health"
    assert "x-client-id" not in metadata


async def test_rest_caller_cannot_set_the_deadline_of_a_call(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/tasks/slow/status", headers={"grpc-timeout": "50m"})

    assert answer.text == '{"detail":"The server did not answer in time"}'


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a'b", "x"),
        ("x~y", "x"),
        ("picture-bin", "not base64!"),
        ("grpc-encoding", "zip"),
        ("grpc-previous-rpc-attempts", "x"),
        ("x-name", "caf\u00e9".encode()),
    ],
)
async def test_header_that_no_call_can_carry_is_left_out(
    http: httpx.AsyncClient, upstream: Upstream, name: str, value: str | bytes
) -> None:
    answer = await http.get("/v1/service/health", headers=[(name, value), ("x-kept", "yes")])

    assert answer.status_code == 200
    metadata = upstream.last("GetHealth")
    assert metadata["x-kept"] == "yes"
    assert name not in metadata


async def test_events_arrive_one_by_one_as_they_happen(
    http: httpx.AsyncClient, upstream: Upstream
) -> None:
    async with http.stream(
        "GET", "/v1/tasks/t1/events?after_sequence=4", headers={"last-event-id": "4"}
    ) as answer:
        pieces = answer.aiter_raw()
        assert answer.headers["content-type"] == "text/event-stream"
        assert await anext(pieces) == b": connected\n\n"

        upstream.next_event.set()
        assert await anext(pieces) == b'id: 5\nevent: progress\ndata: {"step":5}\n\n'

        upstream.next_event.set()
        assert await anext(pieces) == b'id: 6\nevent: progress\ndata: {"step":6}\n\n'
        assert await anext(pieces, None) is None
    assert upstream.last("StreamTaskEvents")["last-event-id"] == "4"


async def test_watcher_that_leaves_cancels_its_stream(gateway: Gateway, upstream: Upstream) -> None:
    upstream.watcher_left.clear()
    url = f"http://127.0.0.1:{gateway.port}"
    async with (
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
        client.stream("GET", "/v1/tasks/t1/events") as answer,
    ):
        await anext(answer.aiter_raw())

    async with asyncio.timeout(5):
        await upstream.watcher_left.wait()


async def test_stream_that_cannot_start_is_a_plain_error(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/tasks/missing/events")

    assert (answer.status_code, answer.text) == (404, '{"detail": "Task not found"}')


async def test_preflight_is_answered_for_a_known_origin(http: httpx.AsyncClient) -> None:
    headers = {"origin": "https://studio.example", "access-control-request-method": "POST"}

    answer = await http.options("/v1/tasks/create", headers=headers)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://studio.example"
    assert "POST" in answer.headers["access-control-allow-methods"]


async def test_errors_carry_cors_headers_too(http: httpx.AsyncClient) -> None:
    for path in ("/v1/tasks/missing/status", "/v1/nothing"):
        answer = await http.get(path, headers={"origin": "https://studio.example"})

        assert answer.headers["access-control-allow-origin"] == "https://studio.example"


async def test_unknown_origin_gets_no_cors_headers(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/service/health", headers={"origin": "https://evil.example"})

    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("told", [{}, {"x-forwarded-host": "evil.example"}])
async def test_server_is_told_under_which_name_it_was_called(
    http: httpx.AsyncClient, upstream: Upstream, told: dict[str, str]
) -> None:
    await http.get("/v1/service/health", headers={"host": "video.example", **told})

    metadata = upstream.last("GetHealth")
    assert (metadata["x-forwarded-proto"], metadata["x-forwarded-host"]) == (
        "http",
        "video.example",
    )
