"""What the service really answers is what the document says, to the field."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from telefuser_grpc import errors
from telefuser_grpc._gen.telefuser.rest.v1 import rest_system_service_pb2 as system_pb
from telefuser_grpc._gen.telefuser.rest.v1 import rest_task_service_pb2 as task_pb
from telefuser_grpc.errors import PipelineFailed, TeleFuserError, Violation
from telefuser_grpc.server.keys import UNKNOWN
from telefuser_grpc.server.openapi.errors import (
    ErrorText,
    FaultList,
    KeyRefused,
    MissingInputsError,
    MissingParametersError,
    Refusal,
    TaskNotInferredError,
    UnsupportedTaskError,
)
from telefuser_grpc.server.openapi.event_bodies import EVENTS
from telefuser_grpc.server.openapi.service_bodies import Health, Metadata, ServiceStatus
from telefuser_grpc.server.openapi.task_bodies import (
    CancelOutcome,
    CreatedTask,
    QueueStatus,
    TaskPage,
    TaskStatus,
)
from telefuser_grpc.server.rest.bodies import documented_wording
from tests.fakes.replicas import Script
from tests.server.backend import Backend
from tests.server.rest.gateway import Gateway


def assert_is(model: type[BaseModel], body: Any) -> None:
    """Every field has its type, and no field is there that the model does not name."""
    model.model_validate_json(json.dumps(body), strict=True, extra="forbid")


async def test_created_task_is_as_documented(gateway: Gateway) -> None:
    answer = await gateway.create({"task": "t2v", "prompt": "a red ball"})

    assert answer.status == 200
    assert_is(CreatedTask, answer.json)


@pytest.mark.parametrize("script", [Script(), Script(error=PipelineFailed("no"))])
async def test_task_is_as_documented_when_it_has_ended(
    backend: Backend, gateway: Gateway, script: Script
) -> None:
    await backend.run_to_end("a", script)

    assert_is(TaskStatus, (await gateway.status("a")).json)


async def test_task_with_every_field_is_as_documented(backend: Backend, gateway: Gateway) -> None:
    fields = {"negative_prompt": "n", "resolution": "720p", "aspect_ratio": "16:9", "model": "m"}
    await gateway.create({"task_id": "a", "task": "t2v", "prompt": "p", "seed": 3} | fields)
    await backend.started("a")

    body = (await gateway.status("a")).json

    assert fields.items() <= body.items()
    assert_is(TaskStatus, body)


async def test_listing_is_as_documented(backend: Backend, gateway: Gateway) -> None:
    for task_id in ("a", "b"):
        await backend.create(task_id)

    first = await gateway.ask(gateway.tasks.ListTasks, task_pb.ListTasksRequest(page_size=1))
    last = await gateway.ask(gateway.tasks.ListTasks, task_pb.ListTasksRequest())

    assert_is(TaskPage, first.json)
    assert_is(TaskPage, last.json)
    assert (bool(first.json["next_page_token"]), last.json["next_page_token"]) == (True, None)


async def test_cancel_is_as_documented(backend: Backend, gateway: Gateway) -> None:
    await backend.create("a")
    await backend.started("a")

    for task_id in ("a", "none"):
        assert_is(CancelOutcome, (await gateway.delete(task_id)).json)


@pytest.mark.parametrize("is_busy", [False, True])
async def test_queue_and_status_are_as_documented(
    backend: Backend, gateway: Gateway, is_busy: bool
) -> None:
    if is_busy:
        await backend.create("a")
        await backend.started("a")

    queue = await gateway.ask(gateway.tasks.GetQueueStatus, task_pb.GetQueueStatusRequest())
    status = await gateway.ask(gateway.system.GetStatus, system_pb.GetStatusRequest())

    assert_is(QueueStatus, queue.json)
    assert_is(ServiceStatus, status.json)


async def test_metadata_is_as_documented(gateway: Gateway) -> None:
    answer = await gateway.ask(gateway.system.GetMetadata, system_pb.GetMetadataRequest())

    assert_is(Metadata, answer.json)


async def test_health_and_readiness_are_as_documented(loading: Backend) -> None:
    gateway = Gateway(loading)

    for is_open in (False, True):
        if is_open:
            loading.open()
        health = await gateway.ask(gateway.system.GetHealth, system_pb.GetHealthRequest())
        ready = await gateway.ask(gateway.system.GetReadiness, system_pb.GetReadinessRequest())
        assert_is(Health, health.json)
        assert_is(Health, ready.json)


async def test_events_are_as_documented(backend: Backend, gateway: Gateway) -> None:
    await backend.run_to_end("a", Script(previews=frozenset({1})))
    request = task_pb.StreamTaskEventsRequest(task_id="a", previews=True)

    stream = (await gateway.ask(gateway.tasks.StreamTaskEvents, request)).body.decode()

    seen = set()
    for frame in stream.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in frame.splitlines())
        if "event" in lines:
            seen.add(lines["event"])
            assert_is(EVENTS[lines["event"]], json.loads(lines["data"]))
    assert seen == EVENTS.keys()


@pytest.mark.parametrize(
    ("error", "model"),
    [
        (errors.UnsupportedTask("vsr", ["t2v"]), UnsupportedTaskError),
        (errors.TaskNotInferred(["t2v"]), TaskNotInferredError),
        (errors.MissingInputs("i2v", ["a", "b"], ["a"]), MissingInputsError),
        (errors.MissingParameters("t2v", ["prompt"], ["prompt"]), MissingParametersError),
        (errors.InputRejected("first_image_path", "is no image"), Refusal),
        (errors.UploadTooLarge("first_image_file", 7), Refusal),
        (errors.InvalidFields([Violation("seed", "is no number")]), FaultList),
        (errors.OutputPathRejected("Absolute paths are not allowed"), FaultList),
        (errors.UnsupportedContentType("text/plain", ["a", "b"]), ErrorText),
        (errors.OffsetOutOfRange(7), ErrorText),
        (errors.TaskNotFound("a"), ErrorText),
        (errors.ArtifactNotFound("a"), ErrorText),
        (errors.AccessDenied(), ErrorText),
        (errors.Unauthenticated(UNKNOWN), KeyRefused),
        (errors.TaskAlreadyExists("a"), ErrorText),
        (errors.RequestIdReused("a"), ErrorText),
        (errors.QueueFull(3), ErrorText),
        (errors.StorageFull(), ErrorText),
        (errors.NoCapacity(), ErrorText),
        (errors.PipelineNotReady(), ErrorText),
        (errors.ShuttingDown(), ErrorText),
    ],
)
def test_error_is_as_documented(error: TeleFuserError, model: type[BaseModel]) -> None:
    assert_is(model, documented_wording()(error).body)
