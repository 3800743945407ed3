"""Calls of the OpenAI images and models, as the gateway makes them."""

import base64
import io
import json
from typing import Any

import grpc
import httpx
from google.api.httpbody_pb2 import HttpBody
from PIL import Image

from telefuser_grpc._gen.openai.v1 import (
    image_service_pb2,
    image_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
)
from telefuser_grpc.domain.artifact import MediaFacts
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.task import Task
from telefuser_grpc.scheduler.ports import TaskQuery
from tests.fakes.media_files import still
from tests.fakes.replicas import Script
from tests.server.backend import Backend
from tests.server.rest.gateway import Answer, Gateway, body_requests, transcoded

PNG = ("a.png", still(), "image/png")
DRAWN = still(width=16, height=12)
FACTS = MediaFacts(content_type="image/png", width=16, height=12, frame_count=1)
DRAWS = Script(content=DRAWN, facts=FACTS)
CONTRACT = PipelineContract.parse(
    {
        "pipeline_name": "painter",
        "supported_tasks": ["t2v", "t2i", "i2i"],
        "task_contracts": {"t2i": {"parameters": {"steps": {"type": "integer", "maximum": 50}}}},
    },
    stem="painter",
)


class Face:
    """The OpenAI images and models of a served service, without Envoy before it."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.images = image_service_pb2_grpc.ImageServiceStub(backend.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(backend.channel)
        self._gateway = Gateway(backend)

    async def generate(self, body: Any, **headers: str) -> Answer:
        """Posts a body, JSON unless it is bytes, to `/v1/images/generations`."""
        return await self._gateway.ask(self.images.CreateImage, generation(body), **headers)

    async def edit(self, data: Any = None, files: Any = None, **headers: str) -> Answer:
        """Posts a form to `/v1/images/edits`."""
        sent = form(image_service_pb2.CreateImageEditRequest, data, files)
        return await self._gateway.ask(self.images.CreateImageEdit, sent, **headers)

    async def edit_object(self, body: Any, **headers: str) -> Answer:
        """Posts JSON to `/v1/images/edits`, in pieces."""
        data = json.dumps(body).encode()
        size = max(100, len(data) // 8)
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        sent = body_requests(image_service_pb2.CreateImageEditRequest, "application/json", pieces)
        return await self._gateway.ask(self.images.CreateImageEdit, sent, **headers)

    async def vary(self, data: Any = None, files: Any = None, **headers: str) -> Answer:
        """Posts a form to `/v1/images/variations`."""
        sent = form(image_service_pb2.CreateImageVariationRequest, data, files)
        return await self._gateway.ask(self.images.CreateImageVariation, sent, **headers)

    async def content(self, image_id: str, **headers: str) -> Answer:
        """Gets `/v1/images/{image_id}/content`."""
        request = image_service_pb2.GetImageContentRequest(image_id=image_id)
        return await self._gateway.ask(self.images.GetImageContent, request, **headers)

    async def list_models(self) -> Answer:
        """Gets `/v1/models`."""
        return await self._gateway.ask(
            self.models.ListModels, model_service_pb2.ListModelsRequest()
        )

    async def model(self, name: str) -> Answer:
        """Gets `/v1/models/{model}`."""
        request = model_service_pb2.GetModelRequest(model=name)
        return await self._gateway.ask(self.models.GetModel, request)

    def begin(self, body: Any, **headers: str) -> Any:
        """Begins to post to `/v1/images/generations` and returns the call."""
        return self.images.CreateImage(generation(body), metadata=transcoded(**headers))

    async def tasks(self) -> list[Task]:
        """Returns the tasks that there are, the oldest first."""
        page = await self.backend.tasks.list(TaskQuery())
        return list(reversed(page.tasks))

    async def first_task(self) -> Task:
        """Waits until a task runs and returns it."""
        pool = self.backend.pool
        async with pool._started:
            await pool._started.wait_for(lambda: pool.runs)
        return await self.backend.tasks.get(pool.runs[0].job.task_id)


def generation(body: Any) -> image_service_pb2.CreateImageRequest:
    """Returns a request with a body as the gateway passes it on."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    http = HttpBody(content_type="application/json", data=data)
    return image_service_pb2.CreateImageRequest(body=http)


def form(message: Any, data: Any, files: Any) -> list[Any]:
    """Returns a form as the gateway passes it on, piece by piece."""
    request = httpx.Request("POST", "http://g", data=data or {}, files=files)
    content_type = request.headers.get("content-type", "application/x-www-form-urlencoded")
    whole = request.read()
    pieces = [whole[start : start + 1000] for start in range(0, max(len(whole), 1), 1000)]
    return body_requests(message, content_type, pieces)


def picture(item: dict[str, Any]) -> Image.Image:
    """Opens what is in base64."""
    return Image.open(io.BytesIO(base64.b64decode(item["b64_json"])))


def events(body: bytes) -> list[dict[str, Any]]:
    """Returns the data of server-sent events, whose names must be their types."""
    found = []
    for block in body.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        if "data" in lines:
            data = json.loads(lines["data"])
            assert lines["event"] == data["type"]
            found.append(data)
    return found


async def cut(call: Any) -> None:
    """Goes away before the answer."""
    call.cancel()
    assert await call.code() is grpc.StatusCode.CANCELLED
