"""The documented REST face of a served service."""

import pytest

from tests.server.backend import Backend
from tests.server.rest.gateway import Gateway


@pytest.fixture
def gateway(backend: Backend) -> Gateway:
    return Gateway(backend)
