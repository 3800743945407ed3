"""What bodies must be, and what callers are told when they are not."""

import json
from typing import Any

import pytest

from telefuser_grpc.errors import (
    AccessDenied,
    ArtifactNotFound,
    InputRejected,
    InvalidFields,
    MissingInputs,
    MissingParameters,
    NoCapacity,
    OutputPathRejected,
    QueueFull,
    RequestIdReused,
    StorageFull,
    TaskAlreadyExists,
    TaskNotFound,
    TaskNotInferred,
    TeleFuserError,
    UnsupportedContentType,
    UnsupportedTask,
    UploadTooLarge,
    UrlNotAccessible,
    Violation,
)
from telefuser_grpc.server.rest.bodies import ErrorFormat, Malformed, detail, error_body
from tests.server.rest.gateway import Gateway


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        (b"", ["body"], "missing"),
        (b" \r\n", ["body"], "missing"),
        (b"[1]", ["body"], "model_attributes_type"),
        (b"null", ["body"], "model_attributes_type"),
        (b'"text"', ["body"], "model_attributes_type"),
        (b'{"prompt": "a",}', ["body", 15], "json_invalid"),
        (b"{prompt: 1}", ["body", 1], "json_invalid"),
        (b'{"a": 1} x', ["body", 9], "json_invalid"),
        (b'{"shift": NaN}', ["body"], "json_invalid"),
        (b'{"shift": -Infinity}', ["body"], "json_invalid"),
        (b'{"shift": 1e999}', ["body"], "json_invalid"),
        (b'{"shift": ' + b"9" * 5000 + b"}", ["body"], "json_invalid"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ["body"], "json_invalid"),
        (b'{"a": ' + b"[" * 600 + b"]" * 600 + b"}", ["body"], "json_invalid"),
        (b'{"prompt": "\xff"}', ["body"], "json_invalid"),
        (b'{"prompt": "\xed\xa0\x80"}', ["body"], "json_invalid"),
        ('{"prompt": "a"}'.encode("utf-16"), ["body"], "json_invalid"),
        (b'{"prompt": "a", "style": "\\ud800"}', ["body"], "json_invalid"),
        (b'{"prompt": "a", "deep": [{"\\udfff": 1}]}', ["body"], "json_invalid"),
    ],
)
async def test_body_that_is_no_json_object_is_422(
    gateway: Gateway, body: bytes, loc: list[Any], kind: str
) -> None:
    answer = await gateway.create(body)

    assert answer.status == 422
    assert answer.faults == [(loc, kind)]
    assert set(answer.detail[0]) == {"type", "loc", "msg"}


async def test_paired_surrogates_are_one_character(gateway: Gateway) -> None:
    answer = await gateway.create(b'{"prompt": "a", "style": "\\ud83d\\udfe5"}')

    assert answer.status == 200


async def test_mark_of_the_byte_order_is_no_part_of_the_body(gateway: Gateway) -> None:
    assert (await gateway.create(b'\xef\xbb\xbf{"prompt": "a"}')).status == 200


def test_list_of_faults_is_cut() -> None:
    error = InvalidFields([Violation(f"f{number}", "is wrong") for number in range(100)])

    assert len(error_body(error)["detail"]) == 20


@pytest.mark.parametrize(
    "error",
    [
        InvalidFields([Violation("seed", "must be of type integer", "integer_type")]),
        UnsupportedTask("vsr", ["t2v"]),
        TaskNotInferred(["t2v"]),
        MissingInputs("i2v", ["first_image_path"], ["first_image_path"]),
        MissingParameters("t2v", ["prompt"], ["prompt"]),
        OutputPathRejected("Absolute paths are not allowed"),
        InputRejected("first_image_path", "is damaged"),
        UrlNotAccessible("first_image_path", "it answered 404"),
        UploadTooLarge("first_image_file", 1024),
    ],
)
def test_fault_of_a_request_is_the_documented_list(error: TeleFuserError) -> None:
    body = error_body(error)

    (fault,) = body["detail"]
    assert set(fault) == {"loc", "msg", "type"}
    assert fault["loc"] == ["body", error.violations[0].field]
    assert body.get("message", error.message) == error.message


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TaskNotFound("t1"), "Task not found"),
        (ArtifactNotFound("a.mp4"), "File not found"),
        (AccessDenied(), "Access to this file is not allowed"),
        (TaskAlreadyExists("t1"), "Task ID t1 already exists"),
        (QueueFull(10), "Task queue is full (max 10 tasks)"),
        (NoCapacity(), "No inference capacity: all pipeline replicas are dead"),
    ],
)
def test_other_errors_are_the_documented_text(error: TeleFuserError, text: str) -> None:
    assert error_body(error) == error_body(error, ErrorFormat.UPSTREAM) == {"detail": text}


@pytest.mark.parametrize(
    "error", [RequestIdReused("k"), StorageFull(), UnsupportedContentType("a/b", ["c/d"])]
)
def test_errors_that_nobody_documents_are_a_text_too(error: TeleFuserError) -> None:
    assert error_body(error) == {"detail": error.message}


def test_input_that_cannot_be_used_is_a_text_upstream() -> None:
    error = UrlNotAccessible("first_image_path", "it answered 404")

    detail = error_body(error, ErrorFormat.UPSTREAM)["detail"]

    assert detail == "first_image_path URL is not accessible: it answered 404"


def test_worst_list_of_faults_fits_into_the_head_of_an_answer() -> None:
    faults = [Violation("名" * 100_000, "错" * 100_000) for _ in range(100)]

    for error in (
        InvalidFields(faults),
        Malformed([detail(["body", "名" * 9999], "错" * 9999, "t")]),
    ):
        assert len(json.dumps(error_body(error))) < 50_000


async def test_field_with_a_name_that_no_head_holds_is_422(gateway: Gateway) -> None:
    answer = await gateway.create({"prompt": "p", "名" * 100_000: 1})

    assert (answer.status, answer.faults) == (422, [(["body", "名" * 100 + "…"], "name_too_long")])
