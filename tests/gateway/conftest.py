"""One Envoy and one server behind it for each module of tests."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest
import pytest_asyncio

from telefuser_grpc.gateway.options import GatewayOptions
from telefuser_grpc.gateway.process import Gateway
from tests.gateway.upstream import Upstream, serving

LIMIT = 200_000
UPLOAD_LIMIT = 20 * LIMIT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gw")


@pytest.fixture(scope="module")
def artifacts(folder: Path) -> Path:
    root = folder / "artifacts"
    outputs = root / "tasks" / "t1" / "outputs"
    outputs.mkdir(parents=True)
    (outputs / "clip.mp4").write_bytes(bytes(range(200)))
    (outputs / "picture.png").write_bytes(b"")
    (root / "large.mp4").write_bytes(os.urandom(3_000_000))
    (root / "räksmörgås 100%41 +.webp").write_bytes(b"sandwich")
    (root / "what?.txt").write_bytes(b"question")
    (root / "unknown.xyz").write_bytes(b"xyz")
    for name in ("a.jpg", "a.jpeg", "a.gif", "a.webm"):
        (root / name).write_bytes(name.encode())
    (folder / "secret.txt").write_bytes(b"secret")
    (root / "way-out.txt").symlink_to(folder / "secret.txt")
    return root


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
        artifact_root=upstream.artifacts,
        max_json_body_bytes=LIMIT,
        max_upload_bytes=UPLOAD_LIMIT,
        rpc_timeout_seconds=0.5,
        cors_origins=("https://studio.example",),
    )
    async with Gateway(options, folder / "run", drain_seconds=0.2) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    url = f"http://127.0.0.1:{gateway.port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def channel(gateway: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        yield channel


async def exchange(port: int, request: bytes) -> str:
    """Sends what no HTTP library would, and returns all that comes back until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer.decode()
