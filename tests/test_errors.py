"""Errors: their reasons, codes and texts are those of the wire."""

import inspect

import pytest

from telefuser_grpc import errors
from telefuser_grpc._gen.telefuser.v1 import error_pb2
from telefuser_grpc.errors import (
    Code,
    InputRejected,
    SessionAlreadyExists,
    TeleFuserError,
    UploadTooLarge,
)

PREFIX = "ERROR_REASON_"
REASONS = {name.removeprefix(PREFIX) for name in error_pb2.ErrorReason.keys()}  # noqa: SIM118 - an enum wrapper is no dict
NOT_RAISED = {"UNSPECIFIED", "UNIMPLEMENTED"}  # the default, and what gRPC answers by itself
CLASSES = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, TeleFuserError)
]


@pytest.mark.parametrize("error", CLASSES)
def test_every_reason_is_in_the_proto(error: type[TeleFuserError]) -> None:
    assert error.reason in REASONS


@pytest.mark.parametrize("reason", sorted(REASONS - NOT_RAISED))
def test_every_reason_of_the_proto_has_a_class(reason: str) -> None:
    assert reason in {error.reason for error in CLASSES}


@pytest.mark.parametrize("error", CLASSES)
def test_every_class_stands_in_the_drawn_tree(error: type[TeleFuserError]) -> None:
    assert errors.__doc__ is not None

    assert error.__name__ in errors.__doc__


@pytest.mark.parametrize("error", [each for each in CLASSES if each is not SessionAlreadyExists])
def test_the_code_and_the_http_status_agree_on_whose_fault_it_is(
    error: type[TeleFuserError],
) -> None:
    server_faults = {Code.INTERNAL, Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.ABORTED}

    assert (error.http_status >= 500) == (error.code in server_faults)


def test_taken_id_of_a_session_is_503_over_rest_as_documented_and_a_conflict_over_grpc() -> None:
    assert SessionAlreadyExists.http_status == 503
    assert SessionAlreadyExists.code is Code.ALREADY_EXISTS


def test_a_rejected_input_names_its_field_in_message_metadata_and_violation() -> None:
    error = InputRejected("audio_path", "has no sound")

    assert error.message == str(error) == "audio_path: has no sound"
    assert error.metadata == {"field": "audio_path"}
    assert [each.field for each in error.violations] == ["audio_path"]


def test_an_upload_that_is_too_large_tells_the_limit() -> None:
    error = UploadTooLarge("file", 1024)

    assert "1024 bytes" in error.message
    assert error.metadata == {"field": "file", "limit_bytes": "1024"}
    assert error.http_status == 413


def test_errors_do_not_share_their_metadata() -> None:
    given = {"limit": "1"}

    error = TeleFuserError("full", metadata=given)
    given["limit"] = "2"

    assert error.metadata == {"limit": "1"}
