"""A scripted service on a real port, for the tests of both clients."""

from collections.abc import Iterator

import pytest

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
