"""A scripted service on a real port, for the tests of both clients."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from telefuser_grpc.client import Client
from tests.fakes.http_service import HttpService
from tests.fakes.server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        yield fake


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(server.target, timeout_seconds=10, reconnect_seconds=10) as connected:
        yield connected


@pytest.fixture
def web() -> Iterator[HttpService]:
    with HttpService() as fake:
        yield fake


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """How long each request of a REST client may take, in seconds."""
    seen: list[object] = []
    send = HTTPAdapter.send

    def record(adapter: HTTPAdapter, *request: Any, timeout: object, **how: Any) -> Any:
        seen.append(timeout)
        return send(adapter, *request, timeout=timeout, **how)

    monkeypatch.setattr(HTTPAdapter, "send", record)
    return seen


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a service that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
