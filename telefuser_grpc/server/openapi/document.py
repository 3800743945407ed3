"""The OpenAPI document: every HTTP rule of the protos, with what its operation says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from telefuser_grpc.server.openapi.bindings import Binding, http_bindings
from telefuser_grpc.server.openapi.errors import ERRORS
from telefuser_grpc.server.openapi.errors import MODELS as ERROR_MODELS
from telefuser_grpc.server.openapi.event_bodies import EVENTS
from telefuser_grpc.server.openapi.generation_operations import GENERATION_OPERATIONS
from telefuser_grpc.server.openapi.headers import RATE_HEADERS, REQUEST_HEADERS, RESPONSE_HEADERS
from telefuser_grpc.server.openapi.image_operations import IMAGE_OPERATIONS
from telefuser_grpc.server.openapi.model_operations import MODEL_OPERATIONS
from telefuser_grpc.server.openapi.operation import Answer, Content, Operation, Parameter
from telefuser_grpc.server.openapi.pruning import without_tags
from telefuser_grpc.server.openapi.requests import request_schemas
from telefuser_grpc.server.openapi.schemas import components, reference
from telefuser_grpc.server.openapi.service_operations import SERVICE_OPERATIONS
from telefuser_grpc.server.openapi.stream_bodies import offer_schemas
from telefuser_grpc.server.openapi.stream_operations import STREAM_ERRORS, STREAM_OPERATIONS
from telefuser_grpc.server.openapi.task_operations import TASK_OPERATIONS
from telefuser_grpc.server.openapi.video_operations import VIDEO_OPERATIONS
from telefuser_grpc.server.openapi.wan_operations import WAN_OPERATIONS
from telefuser_grpc.server.rest.system import DOCUMENTED_VERSION

OPERATIONS: Mapping[str, Operation] = {
    **TASK_OPERATIONS,
    **SERVICE_OPERATIONS,
    **IMAGE_OPERATIONS,
    **VIDEO_OPERATIONS,
    **MODEL_OPERATIONS,
    **WAN_OPERATIONS,
    **GENERATION_OPERATIONS,
}
EVERYWHERE = ("BadPath", "Unauthenticated", "InternalError", "Unavailable", "GatewayTimeout")
OF_ERRORS = (
    "Errors are JSON: `detail` is a sentence, or a list of faults that names each field. An "
    'unknown path is 404 `{"detail": "Not Found"}`; a verb that a path has not is 405 '
    '`{"detail": "Method Not Allowed"}` with the header `Allow`.'
)
INFO = {
    "title": "TeleFuser gRPC",
    "version": DOCUMENTED_VERSION,
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
TASK_INFO = INFO | {
    "summary": "Makes videos and images with diffusion pipelines.",
    "description": "Create a task, follow its events, download its file. What tasks there are and "
    "what they take is the loaded pipeline's to say: `GET /v1/service/metadata`.\n\n" + OF_ERRORS,
}
STREAM_INFO = INFO | {
    "summary": "Runs live sessions with diffusion pipelines.",
    "description": "Offer a WebRTC connection, and the pipeline's video comes over it; what the "
    "client says goes over a data channel named `telefuser`. Programs without WebRTC have the gRPC "
    "call `telefuser.v1.SessionService/Interact`.\n\n" + OF_ERRORS,
}
KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Where the service has keys."},
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same key, in a header of its own.",
    },
}
TAGS = {
    "Tasks": "Create tasks and follow them to their end.",
    "Files": "Fetch what tasks have made.",
    "Service": "What the service is, has and does.",
    "OpenAI images": "The images of the OpenAI API, for its official SDKs.",
    "OpenAI videos": "The videos of the OpenAI API, for its official SDKs.",
    "OpenAI models": "What is served, as the OpenAI API lists it.",
    "Wan2.1": "The documented image-to-video API of Wan2.1.",
    "Image to video": "One call from a picture to a video.",
    "Documentation": "This document and its pages.",
}
STREAM_TAGS = {
    "Sessions": "Open sessions, ask for them, and end them.",
    "Service": TAGS["Service"],
    "Documentation": TAGS["Documentation"],
}
STREAM_SERVICE = "RestStreamService."
OPENAI_TAGS = frozenset(name for name in TAGS if name.startswith("OpenAI "))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edition:
    """What the document of one kind of server is made of."""

    info: Mapping[str, Any]
    tags: Mapping[str, str]
    operations: Mapping[str, Operation]
    errors: Mapping[str, tuple[int, Answer]]
    schemas: Mapping[str, Any]


def document(*, serves_openai: bool = True) -> dict[str, Any]:
    """Returns the document of a server of tasks. Raises KeyError for a rule without an operation.

    Args:
        serves_openai: Whether the paths of the OpenAI API are there.
    """
    edition = _Edition(
        info=TASK_INFO,
        tags=TAGS,
        operations=OPERATIONS,
        errors=ERRORS,
        schemas=components(EVENTS.values()) | request_schemas(),
    )
    rules = [each for each in http_bindings() if not each.rpc.startswith(STREAM_SERVICE)]
    whole = _whole(edition, rules)
    return whole if serves_openai else without_tags(whole, OPENAI_TAGS)


def stream_document() -> dict[str, Any]:
    """Returns the document of a server of sessions."""
    edition = _Edition(
        info=STREAM_INFO,
        tags=STREAM_TAGS,
        operations=STREAM_OPERATIONS,
        errors=STREAM_ERRORS,
        schemas=offer_schemas(),
    )
    rules = [each for each in http_bindings() if each.rpc in STREAM_OPERATIONS]
    return without_tags(_whole(edition, rules), ())


def _whole(edition: _Edition, bindings: Iterable[Binding]) -> dict[str, Any]:
    errors = sorted(edition.errors.items())
    return {
        "openapi": "3.1.0",
        "info": edition.info,
        "servers": [{"url": "/", "description": "This server."}],
        "security": [{}, *({name: []} for name in KEYS)],
        "tags": [{"name": name, "description": each} for name, each in edition.tags.items()],
        "paths": _paths(bindings, edition),
        "components": {
            "securitySchemes": KEYS,
            "schemas": _schemas(edition),
            "responses": {name: _answer(answer) for name, (_, answer) in errors},
            "parameters": {name: _header(name) for name in REQUEST_HEADERS},
            "headers": RESPONSE_HEADERS,
        },
    }


def _paths(bindings: Iterable[Binding], edition: _Edition) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    order = {rpc: place for place, rpc in enumerate(edition.operations)}
    for binding in sorted(bindings, key=lambda each: order[each.rpc]):
        operation = edition.operations[binding.rpc]
        described = _operation(binding, operation, edition.errors)
        paths.setdefault(binding.path, {})[binding.verb] = described
    return paths


def _operation(
    binding: Binding, operation: Operation, errors: Mapping[str, tuple[int, Answer]]
) -> dict[str, Any]:
    written = {
        "operationId": _operation_id(binding, operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": _parameters(binding, operation),
        "responses": _responses(operation, errors, is_head=binding.verb == "head"),
    }
    if operation.request:
        written["requestBody"] = {"required": True, "content": _contents(operation.request)}
    return written


def _operation_id(binding: Binding, operation: Operation) -> str:
    stem = operation.operation_id or binding.method[0].lower() + binding.method[1:]
    if binding.verb == "head":
        return f"{stem}Head"
    return f"{stem}{binding.ordinal + 1}" if binding.ordinal else stem


def _parameters(binding: Binding, operation: Operation) -> list[dict[str, Any]]:
    documented = operation.parameters
    return [
        *(
            _parameter(name, "path", schema, documented[name])
            for name, schema in binding.variables.items()
        ),
        *(
            _parameter(name, "query", schema, documented[name])
            for name, schema in binding.query.items()
        ),
        *(
            {"$ref": f"#/components/parameters/{name}"}
            for name in (*operation.headers, "X-Request-ID")
        ),
    ]


def _parameter(
    name: str, place: str, schema: Mapping[str, Any], parameter: Parameter
) -> dict[str, Any]:
    written = {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": parameter.description,
        "schema": {**schema, **parameter.schema},
    }
    return written if parameter.example is None else {**written, "example": parameter.example}


def _header(name: str) -> dict[str, Any]:
    """A page that sends requests fills in the first example: nothing."""
    header = dict(REQUEST_HEADERS[name])
    examples = {"none": {"value": ""}, "one": {"value": header.pop("example")}}
    return {"name": name, "in": "header", "required": False, **header, "examples": examples}


def _responses(
    operation: Operation, errors: Mapping[str, tuple[int, Answer]], *, is_head: bool
) -> dict[str, Any]:
    limits = RATE_HEADERS if "RateLimited" in operation.errors else ()
    answers = {
        str(status): _answer(answer, is_head=is_head, headers=limits)
        for status, answer in operation.answers.items()
    }
    for name in (*operation.errors, *EVERYWHERE):
        status, answer = errors[name]
        known = _answer(answer, is_head=True) if is_head else _response_reference(name)
        answers.setdefault(str(status), known)
    return dict(sorted(answers.items()))


def _response_reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{name}"}


def _answer(
    answer: Answer, *, is_head: bool = False, headers: tuple[str, ...] = ()
) -> dict[str, Any]:
    headers = (*answer.headers, *headers, "X-Request-ID")
    written: dict[str, Any] = {
        "description": answer.description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
    }
    if answer.content and not is_head:
        written["content"] = _contents(answer.content)
    if answer.links:
        written["links"] = dict(answer.links)
    return written


def _contents(contents: Mapping[str, Content]) -> dict[str, Any]:
    return {media_type: _content(each) for media_type, each in contents.items()}


def _content(content: Content) -> dict[str, Any]:
    schema = reference(content.model) if content.model else dict(content.schema)
    written: dict[str, Any] = {"schema": schema}
    if content.examples:
        written["examples"] = {
            name.replace(" ", "-"): {"summary": name, "value": value}
            for name, value in content.examples.items()
        }
    if content.encoding:
        written["encoding"] = dict(content.encoding)
    return written


def _schemas(edition: _Edition) -> dict[str, Any]:
    operations = edition.operations.values()
    answers = [each for operation in operations for each in operation.answers.values()]
    models = {
        content.model for answer in answers for content in answer.content.values() if content.model
    }
    schemas = {**components({*models, *ERROR_MODELS}), **edition.schemas}
    return dict(sorted(schemas.items()))
