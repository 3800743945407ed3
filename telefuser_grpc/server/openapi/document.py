"""The OpenAPI document: every HTTP rule of the protos, with what its operation says."""

from collections.abc import Iterable, Mapping
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
INFO = {
    "title": "TeleFuser gRPC",
    "version": DOCUMENTED_VERSION,
    "summary": "Makes videos and images with diffusion pipelines.",
    "description": (
        "Create a task, follow its events, download its file. What tasks there are and what they "
        "take is the loaded pipeline's to say: `GET /v1/service/metadata`.\n\n"
        "Errors are JSON: `detail` is a sentence, or a list of faults that names each field. An "
        'unknown path is 404 `{"detail": "Not Found"}`; a verb that a path has not is 405 '
        '`{"detail": "Method Not Allowed"}` with the header `Allow`.'
    ),
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
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
OPENAI_TAGS = frozenset(name for name in TAGS if name.startswith("OpenAI "))


def document(*, serves_openai: bool = True) -> dict[str, Any]:
    """Returns the document. Raises KeyError for a rule without an operation.

    Args:
        serves_openai: Whether the paths of the OpenAI API are there.
    """
    whole = _whole(http_bindings())
    return whole if serves_openai else without_tags(whole, OPENAI_TAGS)


def _whole(bindings: Iterable[Binding]) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": "/", "description": "This server."}],
        "security": [{}, *({name: []} for name in KEYS)],
        "tags": [{"name": name, "description": each} for name, each in TAGS.items()],
        "paths": _paths(bindings),
        "components": {
            "securitySchemes": KEYS,
            "schemas": _schemas(),
            "responses": {name: _answer(answer) for name, (_, answer) in sorted(ERRORS.items())},
            "parameters": {name: _header(name) for name in REQUEST_HEADERS},
            "headers": RESPONSE_HEADERS,
        },
    }


def _paths(bindings: Iterable[Binding]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    order = {rpc: place for place, rpc in enumerate(OPERATIONS)}
    for binding in sorted(bindings, key=lambda each: order[each.rpc]):
        operation = OPERATIONS[binding.rpc]
        paths.setdefault(binding.path, {})[binding.verb] = _operation(binding, operation)
    return paths


def _operation(binding: Binding, operation: Operation) -> dict[str, Any]:
    written = {
        "operationId": _operation_id(binding, operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": _parameters(binding, operation),
        "responses": _responses(operation, is_head=binding.verb == "head"),
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


def _responses(operation: Operation, *, is_head: bool) -> dict[str, Any]:
    limits = RATE_HEADERS if "RateLimited" in operation.errors else ()
    answers = {
        str(status): _answer(answer, is_head=is_head, headers=limits)
        for status, answer in operation.answers.items()
    }
    for name in (*operation.errors, *EVERYWHERE):
        status, answer = ERRORS[name]
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


def _schemas() -> dict[str, Any]:
    answers = [each for operation in OPERATIONS.values() for each in operation.answers.values()]
    models = {
        content.model for answer in answers for content in answer.content.values() if content.model
    }
    return components({*models, *ERROR_MODELS, *EVENTS.values()}) | request_schemas()
