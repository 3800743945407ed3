"""What a client can do that knows nothing but server reflection."""

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.server.backend import COMPLETES, Backend


class Stranger:
    """A blocking client that has learnt every message from the server."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self._pool = DescriptorPool(self.database)

    def call(self, service: str, method: str, **request: object) -> Iterator[Message]:
        """Calls a method, unary or streaming, with a request as JSON."""
        described = self._pool.FindServiceByName(service).FindMethodByName(method)
        message = json_format.ParseDict(request, GetMessageClass(described.input_type)())
        invoke: Any = self._channel.unary_stream(
            f"/{service}/{method}",
            request_serializer=lambda each: each.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )
        yield from invoke(message)


@pytest.fixture
def stranger(backend: Backend) -> Iterator[Stranger]:
    with grpc.insecure_channel(backend.address) as channel:
        yield Stranger(channel)


async def test_stranger_sees_every_service_of_ours(backend: Backend, stranger: Stranger) -> None:
    services = await asyncio.to_thread(stranger.database.get_services)

    assert sorted(services) == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "image_to_video.v1.GenerationService",
        "openai.v1.ImageService",
        "openai.v1.ModelService",
        "openai.v1.VideoService",
        "telefuser.rest.v1.RestDocsService",
        "telefuser.rest.v1.RestFileService",
        "telefuser.rest.v1.RestSystemService",
        "telefuser.rest.v1.RestTaskService",
        "telefuser.v1.ArtifactService",
        "telefuser.v1.SystemService",
        "telefuser.v1.TaskService",
        "wan.v1.WanService",
    ]


async def test_stranger_creates_a_task_and_watches_it_to_its_end(
    backend: Backend, stranger: Stranger
) -> None:
    backend.pool.script = COMPLETES

    def live() -> list[str]:
        service = "telefuser.v1.TaskService"
        parameters = {"steps": 2}
        (created,) = stranger.call(
            service, "CreateTask", kind="t2v", prompt="a red ball", seed="7", parameters=parameters
        )
        task_id = json_format.MessageToDict(created)["task"]["taskId"]
        events = [
            json_format.MessageToDict(each)["event"]
            for each in stranger.call(service, "WatchTask", taskId=task_id)
        ]
        return [each["stateChange"]["state"] for each in events if "stateChange" in each]

    states = await asyncio.to_thread(live)

    assert states == ["TASK_STATE_PENDING", "TASK_STATE_PROCESSING", "TASK_STATE_COMPLETED"]
