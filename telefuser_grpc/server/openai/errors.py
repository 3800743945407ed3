"""The official error object, beside the documented `detail`."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from telefuser_grpc.errors import (
    InvalidRequest,
    TaskFailed,
    TeleFuserError,
    Unauthenticated,
    Violation,
)
from telefuser_grpc.server.wording import Refusal, Wording, common_headers, key_fault

TYPES = {403: "permission_error", 409: "conflict_error"}
CODES = {
    "missing": "missing_required_parameter",
    "missing_input": "missing_required_parameter",
    "missing_parameter": "missing_required_parameter",
}
BODY_FAULTS = frozenset({"json_invalid", "form_invalid", "model_attributes_type"})
"""Types of what is wrong with a whole body, and with none of its fields."""
RETRIED = frozenset({408, 429, 503})
"""What a caller may try again; a task that was created may not be created twice."""
IMAGE_NAMES = {
    "first_image_path": "image",
    "resolution": "size",
    "width": "size",
    "height": "size",
    "aspect_ratio": "size",
    "task": "model",
}
VIDEO_NAMES = {
    "first_image_path": "input_reference",
    "ref_video_path": "input_reference",
    "resolution": "size",
    "width": "size",
    "height": "size",
    "aspect_ratio": "size",
    "target_video_length": "seconds",
    "task": "model",
}
SOURCE_NAMES = {**VIDEO_NAMES, "first_image_path": "video", "ref_video_path": "video"}


def openai_wording(documented: Wording, names: Mapping[str, str]) -> Wording:
    """Returns the wording; `names` are the interface's own names of task fields."""
    return partial(_refusal, documented, names)


@contextmanager
def named_as_sent(names: Mapping[str, str]) -> Iterator[None]:
    """Names task fields in the refusals that leave the block as this caller has named them."""
    try:
        yield
    except InvalidRequest as error:
        error.message = _own_words(error.message, names)
        error.violations = tuple(_named(each, names) for each in error.violations)
        if field := error.metadata.get("field"):
            error.metadata["field"] = names.get(field, field)
        raise


def error_object(error: TeleFuserError, names: Mapping[str, str]) -> dict[str, Any]:
    """Writes an error as the official SDKs read it."""
    if isinstance(error, Unauthenticated):
        return key_fault(error)
    violation = error.violations[0] if error.violations else None
    if violation and violation.type in BODY_FAULTS:
        return {
            "message": violation.message,
            "type": _type(error.http_status),
            "param": None,
            "code": violation.type,
        }
    return {
        "message": _own_words(error.message, names),
        "type": _type(error.http_status),
        "param": names.get(violation.field, violation.field) if violation else None,
        "code": _code(error),
    }


def _refusal(documented: Wording, names: Mapping[str, str], error: TeleFuserError) -> Refusal:
    may_retry = error.http_status in RETRIED and not isinstance(error, TaskFailed)
    return Refusal(
        status=error.http_status,
        body={"error": error_object(error, names), **_renamed(documented(error).body, names)},
        headers={**common_headers(error), "x-should-retry": str(may_retry).lower()},
    )


def _renamed(body: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Says of the fields in a documented body what their callers call them."""
    renamed = dict(body)
    if isinstance(renamed["detail"], list):
        renamed["detail"] = [
            each
            | {
                "loc": [names.get(part, part) for part in each["loc"]],
                "msg": _own_words(each["msg"], names),
            }
            for each in renamed["detail"]
        ]
    if "message" in renamed:
        renamed["message"] = _own_words(renamed["message"], names)
    return renamed


def _own_words(text: str, names: Mapping[str, str]) -> str:
    """Renames the fields with which sentences begin."""
    if not names:
        return text
    fields = "|".join(names)
    return re.sub(rf"(^|; )({fields})(?=:? )", lambda found: found[1] + names[found[2]], text)


def _named(violation: Violation, names: Mapping[str, str]) -> Violation:
    return replace(
        violation,
        field=names.get(violation.field, violation.field),
        message=_own_words(violation.message, names),
    )


def _type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


def _code(error: TeleFuserError) -> str:
    if isinstance(error, TaskFailed):
        return error.metadata.get("reason", error.reason).lower()
    if isinstance(error, InvalidRequest) and error.violations:
        kind = error.violations[0].type
        generic = "invalid_value" if error.reason == "INVALID_FIELDS" else error.reason.lower()
        return CODES.get(kind, generic)
    return error.reason.lower()
