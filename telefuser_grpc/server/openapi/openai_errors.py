"""The errors of the OpenAI paths: the official object, beside the documented `detail`."""

from typing import Any

from pydantic import Field

from telefuser_grpc.server.openapi.errors import Fault, RateLimitDetail
from telefuser_grpc.server.openapi.headers import RATE_HEADERS
from telefuser_grpc.server.openapi.operation import Answer, json_answer
from telefuser_grpc.server.openapi.schemas import Described

RETRY = "X-Should-Retry"


class OpenAIFault(Described):
    """An error as the official SDKs read it."""

    message: str = Field(description="One sentence.", examples=["Image img_1 not found"])
    type: str = Field(
        description="The kind of error, for programs.", examples=["invalid_request_error"]
    )
    param: str | None = Field(description="The field that is wrong.", examples=["size"])
    code: str | None = Field(description="The reason, for programs.", examples=["invalid_value"])


class OpenAIError(Described):
    """A refusal on an OpenAI path."""

    error: OpenAIFault = Field(description="The official object.")
    detail: str | list[Fault] | RateLimitDetail = Field(
        description="The same as TeleFuser's own paths say it.", examples=["Image img_1 not found"]
    )
    message: str = Field(
        description="All in one sentence, where a file or the contract is the reason.", default=""
    )
    supported_tasks: list[str] = Field(description="What the pipeline makes.", default=[])
    candidate_tasks: list[str] = Field(description="Kinds that would fit: none.", default=[])
    required_inputs: list[str] = Field(description="The files that are needed.", default=[])
    missing_inputs: list[str] = Field(description="Those that are absent.", default=[])
    required_parameters: list[str] = Field(
        description="The parameters that are needed.", default=[]
    )
    missing_parameters: list[str] = Field(description="Those that are absent.", default=[])


def openai_error(
    description: str,
    message: str,
    code: str,
    *,
    type: str = "invalid_request_error",
    param: str | None = None,
    headers: tuple[str, ...] = (),
) -> Answer:
    """Returns an answer with an error, about a field where one is named."""
    error = {"message": message, "type": type, "param": param, "code": code}
    fault = {"type": code, "loc": ["body", param], "msg": message}
    body: dict[str, Any] = {"error": error, "detail": [fault] if param else message}
    return json_answer(description, OpenAIError, {code: body}, headers=(*headers, RETRY))


INVALID = {
    422: openai_error(
        "Fields are wrong, or the body is none that can be read.",
        "size: must be <width>x<height>",
        "invalid_value",
        param="size",
    )
}
ANY_CALL = {
    400: openai_error(
        "The path or the query holds what is no text.",
        "The path or the query holds bytes that are not UTF-8",
        "invalid_request",
    ),
    401: openai_error("No key, or not a known one.", "The API key is not valid", "invalid_api_key"),
    429: openai_error(
        "Too many requests from this address.",
        "Too many requests",
        "rate_limit_exceeded",
        type="rate_limit_error",
        headers=("Retry-After", *RATE_HEADERS),
    ),
    500: openai_error(
        "The server met a fault of its own; its log has the details.",
        "The server met a fault of its own; its log has the details",
        "internal",
        type="server_error",
    ),
    503: openai_error(
        "The queue is full, the pipeline is not loaded, or the server is stopping.",
        "Task queue is full (max 10 tasks)",
        "queue_full",
        type="server_error",
        headers=("Retry-After",),
    ),
    504: openai_error(
        "The server did not answer in time.",
        "The server did not answer in time",
        "timeout",
        type="server_error",
    ),
}
"""What every OpenAI path may end with."""
CREATION = {
    **ANY_CALL,
    400: openai_error(
        "The pipeline makes nothing of the kind, or a file cannot be used.",
        "Task 't2v' is not supported by the current pipeline",
        "unsupported_task",
        param="model",
    ),
    408: openai_error(
        "The body stopped coming.", "The request body did not arrive in time", "timeout"
    ),
    409: openai_error(
        "The idempotency key belongs to another request.",
        "request_id 'order-7' was used before with another request; choose a new one",
        "request_id_reused",
        type="conflict_error",
    ),
    413: openai_error(
        "The body, or a file in it, is larger than allowed.",
        "The request body is too large",
        "request_too_large",
    ),
    415: openai_error(
        "The body is of no kind that the path takes.",
        "Content-Type is 'text/plain'; send multipart/form-data or "
        "application/x-www-form-urlencoded or application/json",
        "invalid_fields",
    ),
    **INVALID,
    507: openai_error(
        "The server's disk is full.",
        "The server's disk is full or refuses writes; try again later",
        "storage_full",
        type="server_error",
        headers=("Retry-After",),
    ),
}
"""What a path that makes tasks may end with."""
