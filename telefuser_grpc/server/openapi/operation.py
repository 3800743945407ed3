"""What is written by hand about an operation: everything that a proto cannot say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A variable of the path or a parameter of the query.

    Attributes:
        example: A value that makes sense.
        schema: What the type of the proto does not say: bounds, choices, the default.
    """

    description: str
    example: Any = None
    schema: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A body of one media type.

    Attributes:
        model: The model that the schema is made of.
        schema: The schema itself, where there is no model.
        examples: Whole bodies, by a name that says what they show.
        encoding: How the parts of a form are sent.
    """

    model: type[BaseModel] | None = None
    schema: Mapping[str, Any] = field(default_factory=dict)
    examples: Mapping[str, Any] = field(default_factory=dict)
    encoding: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of one status.

    Attributes:
        content: The body by its media type; none for an empty body.
        headers: Names of `headers.RESPONSE_HEADERS` that come with it.
        links: What may be done with the answer, in OpenAPI's words.
    """

    description: str
    content: Mapping[str, Content] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    links: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One RPC as a reader of the documentation meets it.

    Attributes:
        parameters: Of the path and the query, by name.
        headers: Names of `headers.REQUEST_HEADERS` that are read.
        request: The body that it takes, by media type.
        answers: The good answers, by status.
        errors: Names of `errors.ERRORS` that it can end with.
        operation_id: The stable name for generated clients, if not that of the RPC.
    """

    tag: str
    summary: str
    description: str
    answers: Mapping[int, Answer]
    errors: tuple[str, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    request: Mapping[str, Content] = field(default_factory=dict)
    operation_id: str = ""


def json_answer(
    description: str,
    model: type[BaseModel],
    examples: Mapping[str, Any],
    *,
    headers: tuple[str, ...] = (),
    links: Mapping[str, Any] | None = None,
) -> Answer:
    """Returns an answer with a JSON body."""
    return Answer(
        description=description,
        content={JSON: Content(model=model, examples=examples)},
        headers=headers,
        links=links or {},
    )
