"""A served service per test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.backend import Backend


@pytest.fixture
async def loading(tmp_path: Path) -> AsyncIterator[Backend]:
    """A service that has not loaded its pipeline."""
    async with Backend(tmp_path) as backend:
        yield backend


@pytest.fixture
async def backend(loading: Backend) -> Backend:
    """A service that admits and runs tasks."""
    loading.open()
    return loading
