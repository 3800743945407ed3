"""What the two other documented interfaces really answer is what the document says."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from telefuser_grpc.domain.task import TaskError
from telefuser_grpc.errors import (
    ArtifactNotFound,
    OffsetOutOfRange,
    PipelineNotReady,
    QueueFull,
    ShuttingDown,
    StorageFull,
    TaskNotFound,
    TeleFuserError,
    Unauthenticated,
    UnsupportedTask,
    UploadTooLarge,
)
from telefuser_grpc.server.image_to_video.errors import (
    OUTCOMES,
    GenerationFailed,
    NoMemory,
    PresetBusy,
    generation_wording,
)
from telefuser_grpc.server.openapi.generation_bodies import (
    GeneratedVideo,
    GenerationHealth,
    GenerationRefusal,
)
from telefuser_grpc.server.openapi.generation_operations import GENERATION_OPERATIONS
from telefuser_grpc.server.openapi.wan_bodies import WanRefusal, WanStatus, WanSubmitted
from telefuser_grpc.server.wan.errors import unknown_model, wan_wording
from tests.fakes.replicas import Script
from tests.server.backend import COMPLETES
from tests.server.image_to_video.conftest import Caller as GenerationCaller
from tests.server.image_to_video.conftest import GenerationBackend
from tests.server.wan.caller import Caller as WanCaller
from tests.server.wan.conftest import CONTRACT, WanBackend, web

__all__ = ["web"]

FAULTS: list[TeleFuserError] = [
    Unauthenticated("no"),
    QueueFull(3),
    StorageFull(),
    PipelineNotReady(),
    ShuttingDown(),
    ArtifactNotFound("a"),
    TaskNotFound("a"),
    OffsetOutOfRange(7),
    UploadTooLarge("image_url", 7),
    UnsupportedTask("i2v", ["t2v"]),
    unknown_model("a", "b"),
    TeleFuserError("no"),
]
GENERATE = GENERATION_OPERATIONS["GenerationService.Generate"]


def assert_is(model: type[BaseModel], body: Any) -> None:
    """Every field has its type, and no field is there that the model does not name."""
    model.model_validate_json(json.dumps(body), strict=True, extra="forbid")


@pytest.mark.parametrize("error", FAULTS)
def test_refusals_are_as_documented(error: TeleFuserError) -> None:
    assert_is(WanRefusal, wan_wording(error).body)
    assert_is(GenerationRefusal, generation_wording(error).body)


@pytest.mark.parametrize(
    "error",
    [
        NoMemory(13.5),
        PresetBusy("fast", 3),
        *(GenerationFailed(TaskError(reason=each, message="no")) for each in OUTCOMES),
    ],
)
def test_failure_of_a_generation_has_a_documented_status_and_body(error: TeleFuserError) -> None:
    refusal = generation_wording(error)

    assert refusal.status in GENERATE.answers
    assert_is(GenerationRefusal, refusal.body)


async def test_submission_and_status_are_as_documented(web: Any, tmp_path: Any) -> None:
    async with WanBackend(tmp_path) as backend:
        backend.open(CONTRACT)
        wan = WanCaller(backend, web)
        submitted = await wan.submit()
        waiting = await wan.status(submitted.json["requestId"])
        backend.pool.script = COMPLETES
        made = await wan.submitted()
        await wan.cancel(submitted.json["requestId"])
        await backend.ended(made.id)
        finished = await wan.status(made.id)

    assert_is(WanSubmitted, submitted.json)
    assert_is(WanStatus, waiting.json)
    assert_is(WanStatus, finished.json)
    assert finished.json["status"] == "Succeed"


async def test_generation_and_health_are_as_documented(tmp_path: Any) -> None:
    async with GenerationBackend(tmp_path) as backend:
        backend.open(CONTRACT)
        backend.pool.script = Script()
        caller = GenerationCaller(backend)

        assert_is(GeneratedVideo, (await caller.generate()).json)
        assert_is(GenerationHealth, (await caller.health()).json)
        assert_is(GenerationRefusal, (await caller.generate(steps=1)).json)
