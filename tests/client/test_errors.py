"""Errors survive the wire as the class that they are."""

import grpc
import pytest

from telefuser_grpc.client import Client
from telefuser_grpc.client._errors import error_of
from telefuser_grpc.errors import (
    AccessDenied,
    Conflict,
    InputRejected,
    InvalidFields,
    MissingInputs,
    NoCapacity,
    NotFound,
    PipelineNotReady,
    QueueFull,
    RequestIdReused,
    ShuttingDown,
    StorageFull,
    TaskAlreadyExists,
    TaskNotEnded,
    TaskNotFound,
    TeleFuserError,
    Unauthenticated,
    Unavailable,
    UnsupportedTask,
    UploadTooLarge,
    Violation,
)
from tests.fakes.server import FakeServer

RAISED = [
    UnsupportedTask("i2v", ["t2v"]),
    MissingInputs("i2v", ["first_image_path"], ["first_image_path"]),
    InvalidFields([Violation("steps", "must be at most 100", "less_than_equal")]),
    InputRejected("first_image_path", "does not decode"),
    UploadTooLarge("first_image_path", 100),
    TaskNotFound("task_1"),
    TaskAlreadyExists("task_1"),
    RequestIdReused("abc"),
    TaskNotEnded("task_1", "processing"),
    QueueFull(10, retry_after_seconds=0.25),
    StorageFull(),
    NoCapacity(),
    AccessDenied(),
    Unauthenticated("The API key is not valid"),
    PipelineNotReady(),
    ShuttingDown(),
]


class Failed:
    """A call that failed with a code and no details."""

    def __init__(self, code: grpc.StatusCode, details: str = "") -> None:
        self._code = code
        self._details = details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> None:
        return None


@pytest.mark.parametrize("raised", RAISED, ids=lambda each: type(each).__name__)
def test_error_is_the_same_on_both_sides(
    raised: TeleFuserError, server: FakeServer, client: Client
) -> None:
    server.failures["GetTask"] = [raised]

    with pytest.raises(TeleFuserError) as caught:
        client.get("task_1")

    assert type(caught.value) is type(raised)
    assert caught.value.message == raised.message == str(caught.value)
    assert caught.value.metadata == raised.metadata
    assert caught.value.violations == raised.violations
    assert caught.value.retry_after_seconds == raised.retry_after_seconds


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.NOT_FOUND, NotFound),
        (grpc.StatusCode.ALREADY_EXISTS, Conflict),
        (grpc.StatusCode.UNAUTHENTICATED, Unauthenticated),
        (grpc.StatusCode.INTERNAL, TeleFuserError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Unavailable),
    ],
)
def test_error_without_details_is_known_by_its_code(
    code: grpc.StatusCode, kind: type[TeleFuserError]
) -> None:
    error = error_of(Failed(code, "what happened"), "host:1")

    assert type(error) is kind


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED]
)
def test_reset_stream_is_a_lost_connection(code: grpc.StatusCode) -> None:
    error = error_of(Failed(code, "Received RST_STREAM with error code 2"), "host:1")

    assert type(error) is Unavailable


def test_answer_that_was_lost_while_sending_is_a_lost_connection() -> None:
    error = error_of(Failed(grpc.StatusCode.INTERNAL, "Internal error from Core"), "host:1")

    assert type(error) is Unavailable
