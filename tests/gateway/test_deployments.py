"""What changes with how the gateway is deployed."""

import asyncio
from pathlib import Path

import httpx
import pytest

from telefuser_grpc.gateway.options import GatewayOptions
from telefuser_grpc.gateway.process import Gateway
from tests.fakes.otlp import OtlpReceiver
from tests.fakes.ports import free_port
from tests.gateway.upstream import Upstream, serving

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
REQUEST = "35ef400e-859c-404b-a503-a0891d3c9dde"


def _client(gateway: Gateway) -> httpx.AsyncClient:
    url = f"http://127.0.0.1:{gateway.port}"
    return httpx.AsyncClient(base_url=url, trust_env=False)


async def test_files_are_streamed_by_a_server_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(bytes(range(100)))
    upstream = Upstream(tmp_path)
    options = GatewayOptions(upstream=f"{tmp_path}/s", port=0)
    async with (
        serving(upstream, f"unix:{tmp_path}/s"),
        Gateway(options, tmp_path / "run", drain_seconds=0) as gateway,
        _client(gateway) as http,
    ):
        whole = await http.get("/v1/files/download/clip.mp4")
        part = await http.get("/v1/files/download/clip.mp4", headers={"range": "bytes=5-9"})
        head = await http.head("/v1/files/download/clip.mp4")
        missing = await http.get("/v1/files/download/no.mp4")
        beyond = await http.get("/v1/files/download/clip.mp4", headers={"range": "bytes=100-"})
        known = await http.get(
            "/v1/files/download/clip.mp4", headers={"if-none-match": '"streamed"'}
        )

    assert whole.content == bytes(range(100))
    assert whole.headers["content-length"] == "100"
    assert (whole.headers["content-type"], whole.headers["etag"]) == ("video/mp4", '"streamed"')
    assert (part.status_code, part.content) == (206, bytes(range(5, 10)))
    assert part.headers["content-range"] == "bytes 5-9/100"
    assert (head.content, head.headers["content-length"]) == (b"", "100")
    assert (missing.status_code, missing.text) == (404, '{"detail": "File not found"}')
    assert (beyond.status_code, beyond.text) == (416, '{"detail": "Range Not Satisfiable"}')
    assert beyond.headers["content-range"] == "bytes */100"
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["etag"] == '"streamed"'
    assert {method for method, _ in upstream.calls} == {"DownloadFile"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("tasks%2Ft1%2Fclip.mp4", 200),
        ("tasks/t1/clip.mp4/", 200),
        ("..%2fsecret.txt", 403),
        ("tasks%2F..%2F..%2Fsecret.txt", 403),
        ("%2e%2e%2fsecret.txt", 403),
        ("%252e%252e%252fsecret.txt", 404),
    ],
)
async def test_streamed_file_is_named_as_one_that_envoy_sends(
    tmp_path: Path, path: str, status: int
) -> None:
    (tmp_path / "root" / "tasks" / "t1").mkdir(parents=True)
    (tmp_path / "root" / "tasks" / "t1" / "clip.mp4").write_bytes(b"clip")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    options = GatewayOptions(upstream=f"{tmp_path}/s", port=0)
    async with (
        serving(Upstream(tmp_path / "root"), f"unix:{tmp_path}/s"),
        Gateway(options, tmp_path / "run", drain_seconds=0) as gateway,
        _client(gateway) as http,
    ):
        answer = await http.get(f"/v1/files/download/{path}")

    assert answer.status_code == status


async def test_server_over_tcp_comes_and_goes(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    options = GatewayOptions(upstream=address, port=0, artifact_root=tmp_path)
    async with (
        Gateway(options, tmp_path / "run", drain_seconds=0) as gateway,
        _client(gateway) as http,
    ):
        before = await http.get("/v1/service/health")
        file = await http.get("/v1/files/download/clip.mp4")
        async with serving(Upstream(tmp_path), address):
            during = await http.get("/v1/service/health")
        after = await http.get("/v1/service/health")

    for down in (before, file, after):
        assert down.status_code == 503
        assert down.text == '{"detail":"Service temporarily unavailable"}'
        assert down.headers["retry-after"] == "5"
        assert down.headers["content-type"] == "application/json"
    assert during.json() == {"status": "healthy"}


async def test_trace_leads_from_the_caller_through_the_gateway_to_the_server(
    tmp_path: Path,
) -> None:
    upstream = Upstream(tmp_path)
    with OtlpReceiver() as collector:
        options = GatewayOptions(
            upstream=f"{tmp_path}/s",
            port=0,
            otlp_endpoint=collector.endpoint,
            service_name="the-gateway",
        )
        async with (
            serving(upstream, f"unix:{tmp_path}/s"),
            Gateway(options, tmp_path / "run", drain_seconds=0) as gateway,
            _client(gateway) as http,
        ):
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": REQUEST}
            answer = await http.get("/v1/service/health", headers=headers)
            ingress = await asyncio.to_thread(collector.span, "ingress")
            egress = await asyncio.to_thread(collector.span, "router server egress")
        resource = collector.resource_of(ingress)

    assert ingress.trace_id.hex() == TRACE
    assert ingress.parent_span_id.hex() == PARENT
    assert egress.parent_span_id == ingress.span_id
    handed_on = upstream.last("GetHealth")["traceparent"]
    assert handed_on == f"00-{TRACE}-{egress.span_id.hex()}-01"
    assert resource["service.name"] == "the-gateway"
    assert answer.headers["x-request-id"] == REQUEST


async def test_collector_that_is_down_disturbs_nobody(tmp_path: Path) -> None:
    endpoint = f"127.0.0.1:{free_port()}"
    options = GatewayOptions(upstream=f"{tmp_path}/s", port=0, otlp_endpoint=endpoint)
    async with (
        serving(Upstream(tmp_path), f"unix:{tmp_path}/s"),
        Gateway(options, tmp_path / "run", drain_seconds=0) as gateway,
        _client(gateway) as http,
    ):
        assert (await http.get("/v1/service/health")).status_code == 200


async def test_every_origin_may_call_where_all_are_allowed(tmp_path: Path) -> None:
    options = GatewayOptions(upstream=f"{tmp_path}/s", port=0, cors_origins=("*",))
    async with (
        Gateway(options, tmp_path / "run", drain_seconds=0) as gateway,
        _client(gateway) as http,
    ):
        answer = await http.get("/v1/service/health", headers={"origin": "http://any.example"})

    assert answer.headers["access-control-allow-origin"] == "http://any.example"
