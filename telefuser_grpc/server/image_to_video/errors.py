"""The refusals of the Image-to-Video API: what was asked for, what is wrong, and a code."""

from collections.abc import Mapping
from typing import Any

from telefuser_grpc.domain.task import TaskError
from telefuser_grpc.errors import (
    AccessDenied,
    Code,
    Exhausted,
    InvalidFields,
    InvalidRequest,
    NoCapacity,
    NotFound,
    OffsetOutOfRange,
    PipelineNotReady,
    QueueFull,
    TaskFailed,
    TeleFuserError,
    Unavailable,
)
from telefuser_grpc.server.rest.bodies import Malformed, detail
from telefuser_grpc.server.wording import Refusal, common_headers

NAMES = {
    "first_image_path": "image_base64",
    "num_inference_steps": "steps",
    "width": "resolution",
    "height": "resolution",
}
OUTCOMES: Mapping[str, tuple[int, str]] = {
    "OUT_OF_MEMORY": (500, "RESOURCE_EXHAUSTED"),
    "TASK_TIMEOUT": (504, "DEADLINE_EXCEEDED"),
    "TASK_STALLED": (504, "DEADLINE_EXCEEDED"),
    "CANCELLED": (409, "CANCELLED"),
    "NO_CAPACITY": (503, "UNAVAILABLE"),
}
"""What an ended run is answered with, by its reason; other faults are the server's own."""
CODES: Mapping[type[TeleFuserError], str] = {
    InvalidRequest: "INVALID_ARGUMENT",
    NotFound: "NOT_FOUND",
    AccessDenied: "PERMISSION_DENIED",
    OffsetOutOfRange: "OUT_OF_RANGE",
    NoCapacity: "UNAVAILABLE",
    Exhausted: "RESOURCE_EXHAUSTED",
    PipelineNotReady: "MODEL_NOT_READY",
    Unavailable: "UNAVAILABLE",
}


class GenerationFailed(TaskFailed):
    """A run ended without a video."""

    def __init__(self, error: TaskError) -> None:
        super().__init__(error.message)
        self.cause = error.reason


class NoMemory(Exhausted):
    """The device has no room for the run now."""

    reason = "OUT_OF_MEMORY"
    code = Code.RESOURCE_EXHAUSTED
    http_status = 429
    retry_after_seconds = 30.0

    def __init__(self, required_gb: float) -> None:
        super().__init__(
            f"Not enough GPU memory: about {required_gb:.1f} GB are needed. "
            "Please reduce resolution or frame count, or try again later."
        )


class PresetBusy(Exhausted):
    """As many videos of a preset are being made as it allows."""

    reason = "QUEUE_FULL"
    http_status = 429
    retry_after_seconds = 10.0

    def __init__(self, preset: str, limit: int) -> None:
        super().__init__(
            f"Preset {preset!r} makes {limit} at a time; try again later, or leave the preset out"
        )


def generation_wording(error: TeleFuserError) -> Refusal:
    """Words an error as this interface does; a generation's name comes with the error."""
    status, code = _outcome(error)
    body: dict[str, Any] = {
        "task_id": error.metadata.get("task_id"),
        "status": "failed",
        "error": _text(error),
        "code": code,
    }
    if error.violations:
        body["detail"] = _faults(error)
    return Refusal(status=status, body=body, headers=common_headers(error))


def _outcome(error: TeleFuserError) -> tuple[int, str]:
    if isinstance(error, GenerationFailed):
        return OUTCOMES.get(error.cause, (500, "INTERNAL"))
    if isinstance(error, QueueFull):
        return 429, "RESOURCE_EXHAUSTED"
    if error.http_status == 401:
        return 401, "UNAUTHENTICATED"
    code = next((code for kind, code in CODES.items() if isinstance(error, kind)), "INTERNAL")
    return error.http_status, code


def _text(error: TeleFuserError) -> str:
    if isinstance(error, InvalidFields):
        return "; ".join(f"{'.'.join(map(str, d['loc'][1:]))}: {d['msg']}" for d in _faults(error))
    return error.message


def _faults(error: TeleFuserError) -> list[dict[str, Any]]:
    if isinstance(error, Malformed):
        return list(error.details)
    return [
        detail(["body", NAMES.get(each.field, each.field)], each.message, each.type)
        for each in error.violations
    ]
