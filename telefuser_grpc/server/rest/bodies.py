"""JSON in and out of the documented REST face."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from google.api.httpbody_pb2 import HttpBody
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from telefuser_grpc.errors import (
    InputRejected,
    InvalidFields,
    InvalidRequest,
    MissingInputs,
    MissingParameters,
    OfferRejected,
    TaskNotInferred,
    TeleFuserError,
    Unauthenticated,
    UnsupportedTask,
    Violation,
)
from telefuser_grpc.server.wording import Refusal, Wording, common_headers, key_fault

MAX_VIOLATIONS = 20
MAX_SHOWN = 240  # of a text that callers may have written; all faults fit into an answer's head
MAX_SHOWN_NAME = 100
MAX_DEPTH = 24  # a native answer of this depth is still one that protobuf parses
MAX_DIGITS = 300  # so that a double can hold the number
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
SURROGATE = re.compile("[\ud800-\udfff]")
DOCUMENTED_TYPES = {"literal_error": "enum"}
Body = TypeVar("Body", bound=BaseModel)
Location = Sequence[str | int]


class ErrorFormat(StrEnum):
    """How an error is written: as documented, or as the service was known to answer before."""

    DOCUMENTED = "documented"
    UPSTREAM = "upstream"


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
    return validate(model, _json_object(body.data))


def validate(model: type[Body], fields: Mapping[str, Any]) -> Body:
    """Reads what a body or a form has said. Raises Malformed."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)[:MAX_VIOLATIONS]
        raise Malformed([_fault(each) for each in faults]) from None


def error_body(error: TeleFuserError, form: ErrorFormat = ErrorFormat.DOCUMENTED) -> dict[str, Any]:
    """Writes an error: a list for faults of the request, with helpers beside it, else a text.

    In the upstream format the helpers of a contract's refusal are an object under `detail`, and
    other refusals than those of a malformed request are a text.
    """
    if isinstance(error, Malformed):
        return {"detail": error.details}
    helpers = _helpers(error)
    if form is ErrorFormat.UPSTREAM and error.http_status != 422:
        contract = {"message": error.message, **helpers}
        return {"detail": contract if helpers else _cut(error.message)}
    if isinstance(error, OfferRejected) or not (
        isinstance(error, InvalidRequest) and error.violations
    ):
        return {"detail": _cut(error.message)}
    body: dict[str, Any] = {"detail": _details(error)}
    if helpers or isinstance(error, InputRejected):
        body["message"] = _cut(error.message)
    return body | helpers


def documented_wording(form: ErrorFormat = ErrorFormat.DOCUMENTED) -> Wording:
    """Returns the wording of the documented interface of TeleFuser."""

    def refusal(error: TeleFuserError) -> Refusal:
        keyless = {"error": key_fault(error)} if isinstance(error, Unauthenticated) else {}
        return Refusal(
            status=error.http_status,
            body=keyless | error_body(error, form),
            headers=common_headers(error),
        )

    return refusal


def detail(loc: Location, message: str, kind: str) -> dict[str, Any]:
    """Writes one fault in the documented form."""
    shown = [_cut(each, MAX_SHOWN_NAME) if isinstance(each, str) else each for each in loc]
    return {"type": kind, "loc": shown, "msg": _cut(message)}


def _helpers(error: TeleFuserError) -> dict[str, Any]:
    match error:
        case UnsupportedTask():
            return {"supported_tasks": error.supported}
        case TaskNotInferred():
            return {"candidate_tasks": [], "supported_tasks": error.supported}
        case MissingInputs():
            return {"required_inputs": error.required, "missing_inputs": error.missing}
        case MissingParameters():
            return {"required_parameters": error.required, "missing_parameters": error.missing}
    return {}


def _details(error: TeleFuserError) -> list[dict[str, Any]]:
    return [
        detail(["body", each.field], each.message, each.type)
        for each in error.violations[:MAX_VIOLATIONS]
    ]


def _cut(text: str, length: int = MAX_SHOWN) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _fault(error: ErrorDetails) -> dict[str, Any]:
    kind = DOCUMENTED_TYPES.get(error["type"], error["type"])
    return detail(["body", *error["loc"]], error["msg"], kind)


def json_value(text: str) -> Any:
    """Reads JSON whose numbers are finite and whose text is text.

    Raises:
        ValueError: It is no JSON.
        RecursionError
        Malformed: It is, but it says what cannot be passed on.
    """
    value = json.loads(
        text, parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant
    )
    _check_text_and_depth(value, MAX_DEPTH)
    return value


def _json_object(data: bytes) -> dict[str, Any]:
    if not data.strip():
        raise Malformed([detail(["body"], "Field required", "missing")])
    try:
        value = json_value(data.decode("utf-8-sig"))
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
