"""JSON in and out of the documented REST face."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from google.api.httpbody_pb2 import HttpBody
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

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
MAX_DEPTH = 24  # a native answer of this depth is still one that protobuf parses
MAX_DIGITS = 300  # so that a double can hold the number
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
SURROGATE = re.compile("[\ud800-\udfff]")
DOCUMENTED_TYPES = {"literal_error": "enum"}
Body = TypeVar("Body", bound=BaseModel)
Location = Sequence[str | int]


class Malformed(InvalidFields):
    """A body or header whose faults have places of their own; `details` is the documented list."""

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
        Malformed: The documented list of what is wrong where.
    """
    try:
        return model.model_validate(_json_object(body.data))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)[:MAX_VIOLATIONS]
        raise Malformed([_fault(each) for each in faults]) from None


def error_body(error: TeleFuserError) -> dict[str, Any]:
    """Writes an error in the documented form: a list for faults of the request, else a text."""
    match error:
        case Malformed():
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


def detail(loc: Location, message: str, kind: str) -> dict[str, Any]:
    """Writes one fault in the documented form."""
    return {"type": kind, "loc": list(loc), "msg": message}


def _details(error: TeleFuserError) -> list[dict[str, Any]]:
    return [
        detail(["body", each.field], each.message, each.type)
        for each in error.violations[:MAX_VIOLATIONS]
    ]


def _fault(error: ErrorDetails) -> dict[str, Any]:
    kind = DOCUMENTED_TYPES.get(error["type"], error["type"])
    return detail(["body", *error["loc"]], error["msg"], kind)


def _json_object(data: bytes) -> dict[str, Any]:
    if not data.strip():
        raise Malformed([detail(["body"], "Field required", "missing")])
    try:
        value = json.loads(
            data.decode("utf-8-sig"),
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise _no_json(error.msg, "body", error.pos) from None
    except UnicodeDecodeError:
        raise _no_json("not UTF-8") from None
    except RecursionError:
        raise _no_json(TOO_DEEP) from None
    if not isinstance(value, dict):
        raise Malformed(
            [detail(["body"], "Input should be a JSON object", "model_attributes_type")]
        )
    _check_text_and_depth(value, MAX_DEPTH)
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise _no_json(f"a number of more than {MAX_DIGITS} digits")
    return int(text)


def _float(text: str) -> float:
    if math.isinf(number := float(text)):
        raise _no_json("a number that no double holds")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise _no_json(f"JSON has no {name}")


def _check_text_and_depth(value: Any, levels: int) -> None:
    """Refuses what parses, but can be no text or no message on another way."""
    match value:
        case str() if not value.isascii() and SURROGATE.search(value):
            raise _no_json("half of a surrogate pair")
        case dict() | list() if levels == 0:
            raise _no_json(TOO_DEEP)
        case dict():
            for name, each in value.items():
                _check_text_and_depth(name, levels)
                _check_text_and_depth(each, levels - 1)
        case list():
            for each in value:
                _check_text_and_depth(each, levels - 1)


def _no_json(why: str, *loc: str | int) -> Malformed:
    return Malformed([detail(loc or ["body"], f"JSON decode error: {why}", "json_invalid")])
