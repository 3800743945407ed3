"""Envoy as a process: how it starts, dies, comes back and goes."""

import asyncio
import os
import select
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from telefuser_grpc.gateway.options import GatewayError, GatewayOptions
from telefuser_grpc.gateway.process import Gateway
from tests.gateway.upstream import Upstream, serving


@pytest_asyncio.fixture
async def options(tmp_path: Path) -> AsyncIterator[GatewayOptions]:
    async with serving(Upstream(tmp_path), f"unix:{tmp_path}/s"):
        yield GatewayOptions(upstream=f"{tmp_path}/s", port=0, access_log=False)


async def _healthy(gateway: Gateway) -> bool:
    patient = httpx.AsyncHTTPTransport(retries=5)  # connects again when refused
    async with httpx.AsyncClient(trust_env=False, transport=patient) as http:
        answer = await http.get(f"http://127.0.0.1:{gateway.port}/v1/service/health")
    return answer.status_code == 200


async def _ended(pidfd: int) -> bool:
    """Waits for a process that may be no child of ours."""
    ended, _, _ = await asyncio.to_thread(select.select, [pidfd], [], [], 5)
    os.close(pidfd)
    return bool(ended)


async def test_serves_as_soon_as_it_is_entered(options: GatewayOptions, tmp_path: Path) -> None:
    async with Gateway(options, tmp_path / "run", drain_seconds=0) as gateway:
        assert await _healthy(gateway)


async def test_admin_interface_is_a_private_socket(options: GatewayOptions, tmp_path: Path) -> None:
    async with Gateway(options, tmp_path / "run", drain_seconds=0):
        assert (tmp_path / "run" / "admin.sock").stat().st_mode & 0o777 == 0o600


async def test_killed_gateway_comes_back_on_its_port(
    options: GatewayOptions, tmp_path: Path
) -> None:
    async with Gateway(options, tmp_path / "run", drain_seconds=0) as gateway:
        for _ in range(2):
            killed = gateway.pid
            pidfd = os.pidfd_open(killed)
            os.kill(killed, signal.SIGKILL)
            assert await _ended(pidfd)

            assert await _healthy(gateway)
            assert gateway.pid != killed


async def test_gateway_ends_with_the_process_that_was_killed(
    options: GatewayOptions, tmp_path: Path
) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, options.upstream, tmp_path / "run"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    while not (line := await parent.stdout.readline()).startswith(b"envoy "):
        assert line, "the parent ended"
    envoy = os.pidfd_open(int(line.split()[1]))

    parent.kill()

    assert await _ended(envoy)
    await parent.wait()


PARENT = """
import asyncio, sys
from pathlib import Path
from telefuser_grpc.gateway.options import GatewayOptions
from telefuser_grpc.gateway.process import Gateway

async def main(upstream, folder):
    options = GatewayOptions(upstream=upstream, port=0, access_log=False)
    async with Gateway(options, Path(folder)) as gateway:
        print("envoy", gateway.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_port_in_use_is_named_before_anything_starts(
    options: GatewayOptions, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        here = GatewayOptions(upstream=options.upstream, port=port)

        with pytest.raises(GatewayError, match=rf"127\.0\.0\.1:{port} is in use; .* another port"):
            async with Gateway(here, tmp_path / "run"):
                pass

    assert not (tmp_path / "run").exists()


async def test_second_gateway_on_a_port_is_refused(options: GatewayOptions, tmp_path: Path) -> None:
    async with Gateway(options, tmp_path / "run", drain_seconds=0) as gateway:
        with pytest.raises(GatewayError, match="is in use"):
            async with Gateway(gateway.options, tmp_path / "other"):
                pass


async def test_foreign_address_is_named(tmp_path: Path) -> None:
    options = GatewayOptions(upstream="/s", host="192.0.2.1")

    with pytest.raises(GatewayError, match="no such address"):
        async with Gateway(options, tmp_path):
            pass


async def test_envoy_that_does_not_start_says_why(
    options: GatewayOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "telefuser_grpc.gateway.process.write"
    monkeypatch.setattr(broken, lambda _, folder: (folder / "envoy.yaml").write_text("nonsense: 1"))

    with pytest.raises(GatewayError, match="nonsense"):
        async with Gateway(options, tmp_path):
            pass


async def test_socket_path_that_is_too_long_is_named(
    options: GatewayOptions, tmp_path: Path
) -> None:
    with pytest.raises(GatewayError, match="choose a shorter runtime folder"):
        async with Gateway(options, tmp_path / ("x" * 100)):
            pass


async def test_close_waits_for_requests_under_way(tmp_path: Path) -> None:
    upstream = Upstream(tmp_path)
    async with serving(upstream, f"unix:{tmp_path}/s"):
        gateway = Gateway(GatewayOptions(upstream=f"{tmp_path}/s", port=0), tmp_path / "run")
        await gateway.__aenter__()
        url = f"http://127.0.0.1:{gateway.port}/v1/tasks/t1/events"
        async with (
            httpx.AsyncClient(trust_env=False) as http,
            http.stream("GET", url) as answer,
        ):
            pieces = answer.aiter_raw()
            await anext(pieces)

            closing = asyncio.create_task(gateway.__aexit__(None, None, None))
            for sequence in (b"id: 1", b"id: 2"):
                await asyncio.sleep(0.1)
                assert not closing.done()
                upstream.next_event.set()
                assert (await anext(pieces)).startswith(sequence)
            assert await anext(pieces, None) is None
        async with asyncio.timeout(2):
            await closing


async def test_close_does_not_wait_for_ever(options: GatewayOptions, tmp_path: Path) -> None:
    gateway = Gateway(options, tmp_path / "run", drain_seconds=0.2)
    await gateway.__aenter__()
    url = f"http://127.0.0.1:{gateway.port}/v1/tasks/t1/events"
    async with httpx.AsyncClient(trust_env=False) as http, http.stream("GET", url) as answer:
        await anext(answer.aiter_raw())

        async with asyncio.timeout(3):
            await gateway.__aexit__(None, None, None)

    with pytest.raises(ProcessLookupError):
        os.kill(gateway.pid, 0)
