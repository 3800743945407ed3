"""The errors that operations end with: their bodies, and one description of each."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from telefuser_grpc.errors import Unauthenticated
from telefuser_grpc.server.keys import MISSING, UNKNOWN
from telefuser_grpc.server.openapi.headers import RATE_HEADERS
from telefuser_grpc.server.openapi.operation import JSON, Answer, Content
from telefuser_grpc.server.openapi.schemas import Described, reference
from telefuser_grpc.server.wording import key_fault


class Fault(Described):
    """One thing that is wrong with a request."""

    loc: list[str | int] = Field(
        description="Where: `body`, `query`, `path` or `header`, then the names inside it.",
        examples=[["body", "seed"]],
    )
    msg: str = Field(
        description="What is wrong and how to mend it.",
        examples=["Input should be a valid integer"],
    )
    type: str = Field(description="The kind of fault, for programs.", examples=["int_parsing"])


class FaultList(Described):
    """Everything that is wrong with a request, up to twenty faults."""

    detail: list[Fault] = Field(description="The faults.", min_length=1)


class ErrorText(Described):
    """Why a request was refused."""

    detail: str = Field(description="One sentence.", examples=["Task not found"])


class KeyFault(Described):
    """What is wrong with a key, as the official OpenAI SDKs read it."""

    message: str = Field(description="One sentence.", examples=[UNKNOWN])
    type: Literal["invalid_request_error"] = Field(description="The kind of error, for programs.")
    param: None = Field(description="No field is at fault.")
    code: Literal["invalid_api_key"] = Field(description="The reason, for programs.")


class KeyRefused(Described):
    """Why a call was not let in."""

    error: KeyFault = Field(description="The official object.")
    detail: str = Field(description="One sentence.", examples=[UNKNOWN])


class Refusal(Described):
    """What cannot be used or made, with what would help."""

    detail: list[Fault] = Field(description="The faults.", min_length=1)
    message: str = Field(
        description="All in one sentence.", examples=["Task 'i2v' is missing required inputs"]
    )


class UnsupportedTaskError(Refusal):
    """The pipeline makes no such kind of task."""

    supported_tasks: list[str] = Field(description="What it makes.", examples=[["t2v", "t2i"]])


class TaskNotInferredError(Refusal):
    """No kind of task takes these inputs, and none was named."""

    candidate_tasks: list[str] = Field(description="Kinds that would take them: none.")
    supported_tasks: list[str] = Field(description="What it makes.", examples=[["t2v", "t2i"]])


class MissingInputsError(Refusal):
    """Files that the kind of task needs are absent."""

    required_inputs: list[str] = Field(
        description="The files that it needs.", examples=[["first_image_path"]]
    )
    missing_inputs: list[str] = Field(
        description="Those that are absent.", examples=[["first_image_path"]]
    )


class MissingParametersError(Refusal):
    """Parameters that the kind of task needs are absent or empty."""

    required_parameters: list[str] = Field(
        description="The parameters that it needs.", examples=[["prompt"]]
    )
    missing_parameters: list[str] = Field(
        description="Those that are absent.", examples=[["prompt"]]
    )


class RateLimitDetails(Described):
    """What the limit is, and what helps."""

    limit: int = Field(description="Requests within a window.", ge=0, examples=[60])
    window_seconds: int = Field(description="The window.", ge=1, examples=[60])
    retry_after_seconds: int = Field(description="When to try again.", ge=0, examples=[1])
    friendly_message: str = Field(description="What happened, for people.")
    suggestions: list[str] = Field(description="What helps.")


class RateLimitFault(Described):
    """Too many requests came from one address."""

    code: Literal["RATE_LIMIT_EXCEEDED"] = Field(description="The reason, for programs.")
    message: str = Field(description="One sentence.", examples=["Too many requests"])
    request_id: str = Field(description="The request's name in logs and traces.")
    details: RateLimitDetails = Field(description="The limit.")


class RateLimitDetail(Described):
    """Holds the refusal."""

    error: RateLimitFault = Field(description="The refusal.")


class RateLimitError(Described):
    """The refusal of a request too many."""

    detail: RateLimitDetail = Field(description="Why the request was refused.")


def _error(
    description: str,
    examples: dict[str, Any],
    *models: type[BaseModel],
    headers: tuple[str, ...] = (),
) -> Answer:
    first, *others = models
    schema = {"anyOf": [reference(each) for each in models]} if others else reference(first)
    return Answer(
        description=description,
        content={JSON: Content(schema=schema, examples=examples)},
        headers=headers,
    )


def _text(description: str, *details: str, headers: tuple[str, ...] = ()) -> Answer:
    examples = {f"text{number}": {"detail": each} for number, each in enumerate(details, 1)}
    return _error(description, examples, ErrorText, headers=headers)


def _fault(kind: str, msg: str, *loc: str | int) -> dict[str, Any]:
    return {"type": kind, "loc": list(loc), "msg": msg}


def _refusal(kind: str, field: str, message: str, **helpers: list[str]) -> dict[str, Any]:
    return {"detail": [_fault(kind, message, "body", field)], "message": message, **helpers}


def _keyless(why: str) -> dict[str, Any]:
    return {"error": key_fault(Unauthenticated(why)), "detail": why}


TOO_MANY = {
    "detail": {
        "error": {
            "code": "RATE_LIMIT_EXCEEDED",
            "message": "Too many requests",
            "request_id": "5c8e2f60-4f4e-4d0f-a6a1-1c1f6f0f3f0e",
            "details": {
                "limit": 60,
                "window_seconds": 60,
                "retry_after_seconds": 1,
                "friendly_message": "You have sent more requests than the service takes. "
                "Wait 1 s, then go on.",
                "suggestions": ["Wait as many seconds as the header Retry-After says"],
            },
        }
    }
}
REFUSALS = (
    ErrorText,
    FaultList,
    Refusal,
    UnsupportedTaskError,
    TaskNotInferredError,
    MissingInputsError,
    MissingParametersError,
)
MODELS = (*REFUSALS, KeyRefused, RateLimitError)
ERRORS: dict[str, tuple[int, Answer]] = {
    "BadPath": (
        400,
        _text(
            "The path or the query holds what is no text.",
            "The path or the query holds bytes that are not UTF-8",
        ),
    ),
    "Unauthenticated": (
        401,
        _error(
            "The service has keys, and the request has none that it knows.",
            {"no key": _keyless(MISSING), "unknown key": _keyless(UNKNOWN)},
            KeyRefused,
        ),
    ),
    "Refused": (
        400,
        _error(
            "The pipeline's contract refuses the request, or a file cannot be used.",
            {
                "unsupported": _refusal(
                    "unsupported",
                    "task",
                    "Task 'vsr' is not supported by the current pipeline",
                    supported_tasks=["t2v"],
                ),
                "missing input": _refusal(
                    "missing_input",
                    "first_image_path",
                    "Task 'i2v' is missing required inputs",
                    required_inputs=["first_image_path"],
                    missing_inputs=["first_image_path"],
                ),
                "missing parameter": _refusal(
                    "missing_parameter",
                    "prompt",
                    "Task 't2v' is missing required parameters",
                    required_parameters=["prompt"],
                    missing_parameters=["prompt"],
                ),
                "output path": {
                    "detail": [
                        _fault(
                            "output_path",
                            "Absolute paths are not allowed",
                            "body",
                            "output_path",
                        )
                    ]
                },
            },
            *REFUSALS,
        ),
    ),
    "AccessDenied": (
        403,
        _text("The path names a file that nobody may read.", "Access to this file is not allowed"),
    ),
    "TaskNotFound": (404, _text("No such task.", "Task not found")),
    "FileNotFound": (404, _text("No such file.", "File not found")),
    "PageNotFound": (404, _text("No such page.", "File not found")),
    "Conflict": (
        409,
        _text(
            "The id belongs to another task, or the idempotency key to another request.",
            "Task ID film already exists",
        ),
    ),
    "TooLarge": (
        413,
        _error(
            "The body, or a file in it, is larger than allowed.",
            {
                "body": {"detail": "The request body is too large"},
                "file": {
                    "detail": [
                        _fault(
                            "input_rejected",
                            "larger than the 104857600 bytes that an input may have",
                            "body",
                            "first_image_path",
                        )
                    ],
                    "message": "first_image_path: larger than the 104857600 bytes that an input "
                    "may have",
                },
            },
            Refusal,
            FaultList,
            ErrorText,
        ),
    ),
    "UnsupportedMediaType": (
        415,
        _text(
            "The body is no form.",
            "Content-Type is 'text/plain'; send multipart/form-data or "
            "application/x-www-form-urlencoded",
        ),
    ),
    "RangeNotSatisfiable": (
        416,
        _text(
            "The range begins beyond the end of the file.",
            "offset is beyond the end of the file (18234 bytes)",
            headers=("Content-Range",),
        ),
    ),
    "InvalidFields": (
        422,
        _error(
            "Fields are wrong, or the body is no JSON object.",
            {
                "field": {
                    "detail": [
                        _fault(
                            "int_parsing",
                            "Input should be a valid integer, unable to parse string as an integer",
                            "body",
                            "seed",
                        )
                    ]
                },
                "no JSON": {
                    "detail": [
                        _fault("json_invalid", "JSON decode error: Expecting value", "body", 0)
                    ]
                },
            },
            FaultList,
        ),
    ),
    "InvalidParameters": (
        422,
        _error(
            "A parameter of the query or a header is wrong.",
            {
                "header": {
                    "detail": [
                        _fault(
                            "int_parsing",
                            "Input should be the id of an event",
                            "header",
                            "Last-Event-ID",
                        )
                    ]
                }
            },
            FaultList,
        ),
    ),
    "RequestTimeout": (
        408,
        _text(
            "The body stopped coming.",
            "The request body did not arrive in time",
        ),
    ),
    "RateLimited": (
        429,
        _error(
            "Too many requests from this address.",
            {"too many": TOO_MANY},
            RateLimitError,
            headers=("Retry-After", *RATE_HEADERS),
        ),
    ),
    "InternalError": (
        500,
        _text(
            "The server met a fault of its own; its log has the details.", "Internal Server Error"
        ),
    ),
    "Unavailable": (
        503,
        _text(
            "The queue is full, the pipeline is not loaded, or the server is stopping.",
            "Task queue is full (max 10 tasks)",
            "Service temporarily unavailable",
            headers=("Retry-After",),
        ),
    ),
    "GatewayTimeout": (
        504,
        _text("The server did not answer in time.", "The server did not answer in time"),
    ),
    "StorageFull": (
        507,
        _text(
            "The server's disk is full.",
            "The server's disk is full or refuses writes; try again later",
            headers=("Retry-After",),
        ),
    ),
}
