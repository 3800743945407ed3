"""A scheduler on a store, replicas and artifacts in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.artifacts import MemoryArtifactStore
from tests.fakes.replicas import FakePool
from tests.fakes.tasks import MemoryTaskStore
from tests.scheduler.house import House


@pytest.fixture
def tasks() -> MemoryTaskStore:
    return MemoryTaskStore()


@pytest.fixture
def pool() -> FakePool:
    return FakePool()


@pytest.fixture
def artifacts(tmp_path: Path) -> MemoryArtifactStore:
    return MemoryArtifactStore(tmp_path)


@pytest.fixture
async def house(
    tasks: MemoryTaskStore, pool: FakePool, artifacts: MemoryArtifactStore
) -> AsyncIterator[House]:
    house = House(tasks=tasks, pool=pool, artifacts=artifacts)
    async with house.scheduler:
        house.scheduler.open()
        yield house
