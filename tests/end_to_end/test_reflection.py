"""A client that has none of our protos learns them from the service and uses it."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.end_to_end.conftest import PUPPET
from tests.fakes.service import Service


class Stranger:
    """Calls methods by their names, with messages as JSON values."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._database = ProtoReflectionDescriptorDatabase(channel)
        self._pool = DescriptorPool(self._database)

    def services(self) -> list[str]:
        """Returns the names of the services that the server has."""
        return sorted(self._database.get_services())

    def call(self, service: str, name: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yields the responses of a method."""
        method = self._pool.FindServiceByName(service).methods_by_name[name]
        connect = (
            self._channel.unary_stream if method.server_streaming else self._channel.unary_unary
        )
        call = connect(
            f"/{service}/{name}",
            request_serializer=GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        answer = call(ParseDict(request, GetMessageClass(method.input_type)()), timeout=60)
        for each in answer if method.server_streaming else [answer]:
            yield MessageToDict(each, descriptor_pool=self._pool)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    with (
        Service(PUPPET, tmp_path_factory.mktemp("reflection")) as service,
        grpc.insecure_channel(service.target) as channel,
    ):
        yield Stranger(channel)


def test_services_are_listed(stranger: Stranger) -> None:
    assert {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "telefuser.rest.v1.RestTaskService",
        "telefuser.v1.ArtifactService",
        "telefuser.v1.SystemService",
        "telefuser.v1.TaskService",
    } <= set(stranger.services())


def test_task_is_created_and_watched(stranger: Stranger) -> None:
    tasks = "telefuser.v1.TaskService"
    request = {"kind": "act", "prompt": "p", "parameters": {"steps": 2}}

    (created,) = stranger.call(tasks, "CreateTask", request)
    task_id = created["task"]["taskId"]
    events = [
        response["event"] for response in stranger.call(tasks, "WatchTask", {"taskId": task_id})
    ]
    (got,) = stranger.call(tasks, "GetTask", {"taskId": task_id})

    assert created["task"]["state"] == "TASK_STATE_PENDING"
    assert [int(event["sequence"]) for event in events] == [1, 2, 3, 4, 5]
    assert [event["progress"]["step"] for event in events[2:4]] == [1, 2]
    assert events[-1]["stateChange"]["state"] == "TASK_STATE_COMPLETED"
    assert got["task"]["state"] == "TASK_STATE_COMPLETED"


def test_service_says_that_it_is_healthy(stranger: Stranger) -> None:
    (health,) = stranger.call("grpc.health.v1.Health", "Check", {"service": ""})

    assert health == {"status": "SERVING"}
