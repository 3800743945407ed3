"""Refusals of the Image-to-Video interface: a status and a code for each."""

import pytest

from telefuser_grpc.domain.task import TaskError
from telefuser_grpc.errors import (
    AccessDenied,
    ArtifactNotFound,
    InvalidFields,
    NoCapacity,
    OffsetOutOfRange,
    PipelineNotReady,
    QueueFull,
    ShuttingDown,
    StorageFull,
    TeleFuserError,
    Unauthenticated,
    UploadTooLarge,
    Violation,
)
from telefuser_grpc.server.image_to_video.errors import (
    GenerationFailed,
    NoMemory,
    PresetBusy,
    generation_wording,
)


def ended_with(reason: str) -> GenerationFailed:
    return GenerationFailed(TaskError(reason=reason, message="why"))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidFields([Violation("num_frames", "is wrong")]), 422, "INVALID_ARGUMENT"),
        (UploadTooLarge("image_base64", 7), 413, "INVALID_ARGUMENT"),
        (Unauthenticated("No API key"), 401, "UNAUTHENTICATED"),
        (AccessDenied(), 403, "PERMISSION_DENIED"),
        (ArtifactNotFound("a"), 404, "NOT_FOUND"),
        (OffsetOutOfRange(7), 416, "OUT_OF_RANGE"),
        (NoMemory(13.5), 429, "RESOURCE_EXHAUSTED"),
        (PresetBusy("high", 1), 429, "RESOURCE_EXHAUSTED"),
        (QueueFull(8), 429, "RESOURCE_EXHAUSTED"),
        (NoCapacity(), 503, "UNAVAILABLE"),
        (StorageFull(), 507, "RESOURCE_EXHAUSTED"),
        (PipelineNotReady(), 503, "MODEL_NOT_READY"),
        (ShuttingDown(), 503, "UNAVAILABLE"),
        (ended_with("OUT_OF_MEMORY"), 500, "RESOURCE_EXHAUSTED"),
        (ended_with("TASK_TIMEOUT"), 504, "DEADLINE_EXCEEDED"),
        (ended_with("TASK_STALLED"), 504, "DEADLINE_EXCEEDED"),
        (ended_with("CANCELLED"), 409, "CANCELLED"),
        (ended_with("NO_CAPACITY"), 503, "UNAVAILABLE"),
        (ended_with("REPLICA_DIED"), 500, "INTERNAL"),
        (TeleFuserError("a fault"), 500, "INTERNAL"),
    ],
)
def test_error_has_its_documented_status_and_code(
    error: TeleFuserError, status: int, code: str
) -> None:
    refusal = generation_wording(error)

    assert refusal.status == status
    assert list(refusal.body)[:4] == ["task_id", "status", "error", "code"]
    assert (refusal.body["status"], refusal.body["code"]) == ("failed", code)
    assert refusal.body["error"]


def test_task_field_is_named_as_the_caller_knows_it() -> None:
    error = InvalidFields([Violation("num_inference_steps", "must be at most 40")])

    refusal = generation_wording(error)

    assert refusal.body["error"] == "steps: must be at most 40"
    assert [each["loc"] for each in refusal.body["detail"]] == [["body", "steps"]]


@pytest.mark.parametrize("error", [QueueFull(8), NoMemory(13.5), PresetBusy("high", 1)])
def test_who_may_come_back_is_told_when(error: TeleFuserError) -> None:
    assert int(generation_wording(error).headers["retry-after"]) > 0
