"""A served service with its Wan2.1 interface, and a web from which it fetches."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.media.downloads import DownloadLimits, Downloads
from telefuser_grpc.scheduler.service import ServiceFacts
from telefuser_grpc.server.image_to_video.memory import DeviceMemory
from telefuser_grpc.server.server import UseCases
from telefuser_grpc.server.wan.servicer import WanParts
from tests.fakes.media_files import still
from tests.fakes.web import Web, answer
from tests.server.backend import MAX_UPLOAD_BYTES, Backend
from tests.server.image_to_video.conftest import Gpu
from tests.server.wan.caller import Caller

CONTRACT = PipelineContract.parse({"supported_tasks": ["t2v", "i2v"]}, stem="shapes")
LIMITS = DownloadLimits(total_seconds=0.3, attempts=1)


class WanBackend(Backend):
    """Keeps what its interface says of the ids of new tasks in `watched`."""

    watched: list[str]
    has_keys = True

    def _use_cases(self, facts: ServiceFacts) -> UseCases:
        self.watched = []
        downloads = Downloads(
            max_bytes=MAX_UPLOAD_BYTES, allow_private=True, ports=None, limits=LIMITS
        )
        parts = WanParts(fetch=downloads.fetch, has_keys=self.has_keys, watch=self.watched.append)
        self.gpus: list[Gpu] = []
        memory = DeviceMemory(lambda: self.gpus)
        return replace(super()._use_cases(facts), wan=parts, memory=memory)


class KeylessBackend(WanBackend):
    has_keys = False


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with Web(answers={"/cat.png": answer(still(width=64, height=36))}) as web:
        yield web


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[WanBackend]:
    async with WanBackend(tmp_path) as backend:
        backend.open(CONTRACT)
        yield backend


@pytest.fixture
def wan(backend: WanBackend, web: Web) -> Caller:
    return Caller(backend, web)
