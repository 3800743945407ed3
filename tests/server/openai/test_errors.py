"""Errors as the official SDKs read them: class, code, field, and whether to try again."""

import pytest

from telefuser_grpc.errors import (
    AccessDenied,
    ChecksumMismatch,
    InputRejected,
    InvalidFields,
    InvalidRequest,
    MissingInputs,
    MissingParameters,
    NoCapacity,
    OffsetOutOfRange,
    PipelineNotReady,
    QueueFull,
    RequestIdReused,
    ShuttingDown,
    StorageFull,
    TaskNotFound,
    TeleFuserError,
    Unauthenticated,
    UnsupportedTask,
    UploadTooLarge,
    UrlNotAccessible,
    Violation,
)
from telefuser_grpc.server.openai.errors import VIDEO_NAMES, named_as_sent, openai_wording
from telefuser_grpc.server.openai.image_errors import GenerationTimeout
from telefuser_grpc.server.rest.bodies import documented_wording

WORDING = openai_wording(documented_wording(), VIDEO_NAMES)
REQUEST, SERVER = "invalid_request_error", "server_error"
RANGE = Violation("target_video_length", "must be at most 8", "less_than_equal")


@pytest.mark.parametrize(
    ("error", "status", "kind", "param", "code"),
    [
        (InvalidFields([RANGE]), 422, REQUEST, "seconds", "invalid_value"),
        (UnsupportedTask("vc", ["t2v"]), 400, REQUEST, "model", "unsupported_task"),
        (
            MissingInputs("i2v", ["first_image_path"], ["first_image_path"]),
            400,
            REQUEST,
            "input_reference",
            "missing_required_parameter",
        ),
        (
            MissingParameters("t2v", ["prompt"], ["prompt"]),
            400,
            REQUEST,
            "prompt",
            "missing_required_parameter",
        ),
        (
            InputRejected("ref_video_path", "is empty"),
            400,
            REQUEST,
            "input_reference",
            "input_rejected",
        ),
        (UploadTooLarge("video", 7), 413, REQUEST, "video", "upload_too_large"),
        (ChecksumMismatch("file"), 400, REQUEST, None, "checksum_mismatch"),
        (Unauthenticated("No API key"), 401, REQUEST, None, "invalid_api_key"),
        (AccessDenied(), 403, "permission_error", None, "access_denied"),
        (TaskNotFound("t1"), 404, REQUEST, None, "task_not_found"),
        (RequestIdReused("k"), 409, "conflict_error", None, "request_id_reused"),
        (OffsetOutOfRange(7), 416, REQUEST, "offset", "offset_out_of_range"),
        (QueueFull(8), 503, SERVER, None, "queue_full"),
        (NoCapacity(), 503, SERVER, None, "no_capacity"),
        (StorageFull(), 507, SERVER, None, "storage_full"),
        (PipelineNotReady(), 503, SERVER, None, "pipeline_not_ready"),
        (ShuttingDown(), 503, SERVER, None, "shutting_down"),
        (GenerationTimeout(600), 504, SERVER, None, "timeout"),
        (TeleFuserError("a fault"), 500, SERVER, None, "internal"),
    ],
)
def test_error_has_the_official_class_code_and_field_beside_the_documented_detail(
    error: TeleFuserError, status: int, kind: str, param: str | None, code: str
) -> None:
    refusal = WORDING(error)

    told = refusal.body["error"]
    assert refusal.status == status
    assert told.keys() == {"message", "type", "param", "code"}
    assert (told["type"], told["param"], told["code"]) == (kind, param, code)
    assert told["message"]
    assert refusal.body["detail"]


@pytest.mark.parametrize(
    ("error", "may_retry"),
    [
        (QueueFull(8, 3.2), "true"),
        (PipelineNotReady(), "true"),
        (ShuttingDown(), "true"),
        (RequestIdReused("k"), "false"),
        (InvalidRequest("no"), "false"),
        (TaskNotFound("t1"), "false"),
        (GenerationTimeout(), "false"),
        (TeleFuserError("a fault"), "false"),
    ],
)
def test_only_what_was_surely_not_begun_may_be_sent_again(
    error: TeleFuserError, may_retry: str
) -> None:
    headers = WORDING(error).headers

    assert headers["x-should-retry"] == may_retry
    assert ("retry-after" in headers) == (error.retry_after_seconds is not None)


def test_seconds_to_wait_are_whole_and_never_too_few() -> None:
    assert WORDING(QueueFull(8, 3.2)).headers["retry-after"] == "4"


@pytest.mark.parametrize(
    "error",
    [
        UrlNotAccessible("first_image_path", "its host does not answer"),
        InputRejected("first_image_path", "is not valid base64"),
        UploadTooLarge("first_image_path", 7),
    ],
)
def test_field_that_is_refused_has_the_name_that_its_caller_gave_it(error: InputRejected) -> None:
    with (
        pytest.raises(InputRejected) as caught,
        named_as_sent({"first_image_path": "reference_url"}),
    ):
        raise error

    body = WORDING(caught.value).body
    assert body["error"]["param"] == "reference_url"
    assert body["error"]["message"].startswith("reference_url")
    assert [each["loc"] for each in body["detail"]] == [["body", "reference_url"]]
    assert "first_image_path" not in str(body)
    assert caught.value.metadata["field"] == "reference_url"


def test_refusal_where_nothing_was_renamed_is_left_alone() -> None:
    with pytest.raises(InvalidFields) as caught, named_as_sent({}):
        raise InvalidFields([RANGE])

    assert caught.value.violations == (RANGE,)
