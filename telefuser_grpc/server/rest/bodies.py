"""JSON in and out of the documented REST face."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from google.api.httpbody_pb2 import HttpBody
from pydantic import BaseModel, ValidationError

from telefuser_grpc.errors import (
    InvalidFields,
    InvalidRequest,
    MissingInputs,
    MissingParameters,
    TeleFuserError,
    UnsupportedTask,
    Violation,
)

MAX_VIOLATIONS = 20
Body = TypeVar("Body", bound=BaseModel)
Location = Sequence[str | int]


class MalformedBody(InvalidFields):
    """A body whose faults have places of their own; `details` is the documented list."""

    def __init__(self, details: Sequence[dict[str, Any]]) -> None:
        super().__init__(
            [Violation(".".join(map(str, d["loc"][1:])), d["msg"], d["type"]) for d in details]
        )
        self.details = details


def json_response(value: Any) -> HttpBody:
    """Writes an answer; keys keep their order."""
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return HttpBody(content_type="application/json", data=data)


def parse(model: type[Body], body: HttpBody) -> Body:
    """Reads a JSON object.

    Raises:
        MalformedBody: The documented list of what is wrong where.
    """
    try:
        return model.model_validate(_json_object(body.data))
    except ValidationError as error:
        raise MalformedBody(
            [
                _detail(["body", *each["loc"]], each["msg"], each["type"])
                for each in error.errors(include_url=False, include_input=False)[:MAX_VIOLATIONS]
            ]
        ) from None


def error_body(error: TeleFuserError) -> dict[str, Any]:
    """Writes an error in the documented form: a list for faults of the request, else a text."""
    match error:
        case MalformedBody():
            return {"detail": error.details}
        case UnsupportedTask():
            extra = {"supported_tasks": error.supported}
        case MissingInputs():
            extra = {"required_inputs": error.required, "missing_inputs": error.missing}
        case MissingParameters():
            extra = {"required_parameters": error.required, "missing_parameters": error.missing}
        case InvalidRequest() if error.violations:
            return {"detail": _details(error)}
        case _:
            return {"detail": error.message}
    return {"detail": _details(error), "message": error.message, **extra}


def _details(error: TeleFuserError) -> list[dict[str, Any]]:
    return [
        _detail(["body", each.field], each.message, each.type)
        for each in error.violations[:MAX_VIOLATIONS]
    ]


def _json_object(data: bytes) -> dict[str, Any]:
    if not data.strip():
        raise MalformedBody([_detail(["body"], "Field required", "missing")])
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise MalformedBody(
            [_detail(["body", error.pos], f"JSON decode error: {error.msg}", "json_invalid")]
        ) from None
    except (ValueError, RecursionError):
        raise MalformedBody(
            [_detail(["body"], "JSON decode error: not UTF-8, or too deep", "json_invalid")]
        ) from None
    if not isinstance(value, dict):
        raise MalformedBody(
            [_detail(["body"], "Input should be a JSON object", "model_attributes_type")]
        )
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBody([_detail(["body"], f"JSON has no {name}", "json_invalid")])


def _detail(loc: Location, message: str, kind: str) -> dict[str, Any]:
    return {"type": kind, "loc": list(loc), "msg": message}
