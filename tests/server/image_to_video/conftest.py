"""A served service with its Image-to-Video interface."""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody

from telefuser_grpc._gen.image_to_video.v1 import generation_service_pb2 as pb
from telefuser_grpc._gen.image_to_video.v1.generation_service_pb2_grpc import GenerationServiceStub
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.task import Task
from telefuser_grpc.scheduler.ports import TaskQuery
from telefuser_grpc.scheduler.service import ServiceFacts
from telefuser_grpc.server.image_to_video.memory import DeviceMemory
from telefuser_grpc.server.server import UseCases
from tests.fakes.media_files import still
from tests.fakes.replicas import FakeRun, Script
from tests.server.backend import Backend
from tests.server.rest.gateway import Answer, Gateway

GIB = 2**30
CONTRACT = PipelineContract.parse({"supported_tasks": ["t2v", "i2v"]}, stem="shapes")
IMAGE = base64.b64encode(still(width=48, height=32)).decode()


@dataclass
class Gpu:
    """One GPU, whose memory a test sets."""

    memory_used_bytes: int | None = 0
    memory_total_bytes: int | None = 24 * GIB


class GenerationBackend(Backend):
    """A machine with the GPUs that a test gives it: none."""

    gpus: Sequence[Gpu] = ()

    def _use_cases(self, facts: ServiceFacts) -> UseCases:
        self.memory = DeviceMemory(lambda: self.gpus)
        return replace(super()._use_cases(facts), memory=self.memory)

    async def only_task(self) -> Task:
        """Returns the one task that is stored."""
        (task,) = (await self.tasks.list(TaskQuery())).tasks
        return task

    async def first_run(self) -> FakeRun:
        """Waits until something runs."""
        async with self.pool._started:
            await self.pool._started.wait_for(lambda: bool(self.pool.runs))
        return self.pool.runs[0]


class Caller:
    """Generates; without changes a request is one that is good."""

    def __init__(self, backend: Backend) -> None:
        self.gateway = Gateway(backend)
        self.stub = GenerationServiceStub(backend.channel)

    async def generate(self, *, without: str = "", headers: Any = None, **changes: Any) -> Answer:
        """Posts to `/generate`."""
        body = {"image_base64": IMAGE, "prompt": "A person walking forward naturally"} | changes
        return await self.post(
            {name: each for name, each in body.items() if name != without}, **(headers or {})
        )

    async def post(self, body: Any, **headers: str) -> Answer:
        """Posts any body, JSON unless it is bytes."""
        return await self.gateway.ask(self.stub.Generate, request_of(body), **headers)

    async def health(self) -> Answer:
        """Gets `/health`."""
        return await self.gateway.ask(self.stub.GetHealth, pb.GetHealthRequest())

    async def output(self, name: str, **headers: str) -> Answer:
        """Gets `/outputs/{file}`."""
        return await self.gateway.ask(
            self.stub.GetOutput, pb.GetOutputRequest(file=name), **headers
        )


def request_of(body: Any) -> pb.GenerateRequest:
    """Returns a request with a body, JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return pb.GenerateRequest(body=HttpBody(content_type="application/json", data=data))


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[GenerationBackend]:
    async with GenerationBackend(tmp_path) as backend:
        backend.open(CONTRACT)
        backend.pool.script = Script()
        yield backend


@pytest.fixture
def caller(backend: GenerationBackend) -> Caller:
    return Caller(backend)


class Clock:
    """Says a time until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
