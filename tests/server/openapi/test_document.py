"""The OpenAPI document: valid, complete, and only about what is there."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from telefuser_grpc.errors import TeleFuserError
from telefuser_grpc.gateway.descriptors import http_routes
from telefuser_grpc.server.openapi.bindings import Binding, http_bindings
from telefuser_grpc.server.openapi.document import OPERATIONS, document
from telefuser_grpc.server.openapi.errors import ERRORS
from telefuser_grpc.server.openapi.requests import FILES
from telefuser_grpc.server.rest.forms import FILE_FIELDS
from telefuser_grpc.server.rest.tasks import CreateTaskBody

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENT = document()
OPENAI_PATHS = ("/v1/images", "/v1/videos", "/v1/models")
SCHEMAS = DOCUMENT["components"]["schemas"]


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, verbs in DOCUMENT["paths"].items():
        for verb, operation in verbs.items():
            yield f"{verb.upper()} {path}", operation


def bindings_of_tasks() -> list[Binding]:
    """Returns the rules of all services but those of sessions."""
    return [each for each in http_bindings() if not each.rpc.startswith("RestStreamService.")]


def resolved(value: dict[str, Any]) -> dict[str, Any]:
    """Follows a reference."""
    node: Any = value
    while "$ref" in node:
        target: Any = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every body of a request and of an answer."""
    for name, operation in operations():
        for media_type, content in operation.get("requestBody", {"content": {}})["content"].items():
            yield f"{name} {media_type}", content
        for status, answer in operation["responses"].items():
            for media_type, content in resolved(answer).get("content", {}).items():
                yield f"{name} {status} {media_type}", content


def references(node: Any) -> Iterator[str]:
    match node:
        case dict():
            if "$ref" in node:
                yield node["$ref"]
            for each in node.values():
                yield from references(each)
        case list():
            for each in node:
                yield from references(each)


each_operation = pytest.mark.parametrize(
    "operation", [pytest.param(operation, id=name) for name, operation in operations()]
)


def test_document_is_openapi_3_1() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()

    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["title"] == "TeleFuser gRPC"
    assert [each["url"] for each in DOCUMENT["servers"]] == ["/"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_one_of_json_schema_2020_12(name: str) -> None:
    jsonschema_rs.meta.validate(SCHEMAS[name] | {"$schema": DIALECT})


def test_document_is_the_same_each_time() -> None:
    assert json.dumps(document()) == json.dumps(DOCUMENT)


def test_every_bound_route_and_verb_is_documented() -> None:
    bound = {(each.verb, each.path) for each in bindings_of_tasks()}

    documented = {(verb, path) for path, verbs in DOCUMENT["paths"].items() for verb in verbs}

    assert bound == documented
    assert len(bound) == len(http_routes()), "a route that the gateway has is not read here"


def test_every_documented_rpc_is_one_of_the_protos() -> None:
    assert set(OPERATIONS) == {each.rpc for each in bindings_of_tasks()}


def test_service_without_the_openai_paths_documents_none_of_them() -> None:
    pruned = document(serves_openai=False)

    gone = {path for path in DOCUMENT["paths"] if path.startswith(OPENAI_PATHS)}
    used = {each.removeprefix("#/components/") for each in references(pruned)}
    assert gone
    assert pruned["paths"].keys() == DOCUMENT["paths"].keys() - gone
    assert not [each["name"] for each in pruned["tags"] if "OpenAI" in each["name"]]
    for kind in ("schemas", "responses", "parameters", "headers"):
        assert {f"{kind}/{name}" for name in pruned["components"][kind]} <= used
    schemathesis.openapi.from_dict(pruned).validate()


def test_head_of_a_file_is_documented_without_a_body() -> None:
    head = DOCUMENT["paths"]["/v1/files/download/{file_path}"]["head"]

    assert {"200", "206", "304", "403", "404", "416"} <= head["responses"].keys()
    assert all("content" not in resolved(each) for each in head["responses"].values())


def test_operation_ids_are_unique_and_stable() -> None:
    ids = [operation["operationId"] for _, operation in operations()]

    assert len(ids) == len(set(ids))
    assert {"createTask", "createTaskFromForm", "listTasks", "getTaskStatus", "cancelTask"} <= {
        *ids
    }
    assert {"getQueueStatus", "streamTaskEvents", "downloadFile", "downloadFileHead"} <= {*ids}


@each_operation
def test_operation_says_what_it_does_and_how_it_ends(operation: dict[str, Any]) -> None:
    tags = {each["name"] for each in DOCUMENT["tags"]}

    assert operation["summary"]
    assert operation["description"].endswith(".")
    assert set(operation["tags"]) <= tags
    assert operation["responses"].keys() & {"200", "202"}
    assert {"400", "500", "503", "504"} <= operation["responses"].keys()


@each_operation
def test_parameter_has_a_description_a_schema_and_an_example(operation: dict[str, Any]) -> None:
    parameters = [resolved(each) for each in operation["parameters"]]

    assert [each["name"] for each in parameters].count("X-Request-ID") == 1
    for parameter in parameters:
        assert parameter["description"], parameter
        assert parameter["schema"].get("type"), parameter
        examples = [each["value"] for each in parameter.get("examples", {}).values()]
        for example in examples or [parameter["example"]]:
            jsonschema_rs.validate(parameter["schema"], example)


def test_page_fills_in_no_header_that_nobody_asked_for() -> None:
    for header in DOCUMENT["components"]["parameters"].values():
        assert next(iter(header["examples"].values())) == {"value": ""}, header["name"]


@pytest.mark.parametrize(
    ("operation_id", "names"),
    [
        ("createTask", {"Idempotency-Key"}),
        ("createTaskFromForm", {"Idempotency-Key"}),
        ("listTasks", {"status", "task", "page_size", "page_token"}),
        ("getTaskStatus", {"task_id"}),
        ("streamTaskEvents", {"task_id", "after_sequence", "previews", "Last-Event-ID"}),
        ("downloadFile", {"file_path", "Range", "If-Range", "If-None-Match"}),
        ("getOpenApi", {"If-None-Match"}),
    ],
)
def test_operation_has_its_parameters(operation_id: str, names: set[str]) -> None:
    (operation,) = [each for _, each in operations() if each["operationId"] == operation_id]

    given = {resolved(each)["name"] for each in operation["parameters"]}

    assert given == names | {"X-Request-ID"}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_field_has_a_description(schema: str) -> None:
    fields = SCHEMAS[schema]["properties"]

    assert SCHEMAS[schema]["description"]
    assert [name for name, field in fields.items() if not field.get("description")] == []


def test_every_field_of_a_task_is_in_both_request_bodies() -> None:
    fields = set(CreateTaskBody.model_fields)

    assert SCHEMAS["CreateTaskBody"]["properties"].keys() == fields
    assert SCHEMAS["CreateTaskForm"]["properties"].keys() == fields | FILE_FIELDS.keys()
    assert FILES.keys() == FILE_FIELDS.keys()


def test_unknown_fields_of_a_task_are_allowed() -> None:
    assert SCHEMAS["CreateTaskBody"]["additionalProperties"] is True


@pytest.mark.parametrize(
    ("name", "content"), [pytest.param(*each, id=each[0]) for each in contents()]
)
def test_json_body_has_an_example_and_every_example_fits(
    name: str, content: dict[str, Any]
) -> None:
    schema = {**content["schema"], "components": {"schemas": SCHEMAS}}
    examples = content.get("examples", {})

    assert examples or "application/json" not in name or name.startswith("GET /openapi.json")
    for example in examples.values():
        jsonschema_rs.validate(schema, example["value"])


def test_errors_of_the_service_have_a_documented_status() -> None:
    """What a task ends with is no answer to a request, and has no status of its own."""
    documented = {status for status, _ in ERRORS.values()}

    raised = {each.http_status for each in _classes(TeleFuserError)}

    assert raised <= documented


def test_creating_a_task_documents_each_of_its_refusals() -> None:
    create, form = (
        DOCUMENT["paths"][f"/v1/tasks/{name}"]["post"]["responses"].keys()
        for name in ("create", "form")
    )

    assert {"400", "408", "409", "413", "422", "429", "500", "503", "507"} <= create
    assert form - create == {"415"}


def test_form_is_documented_as_multipart_and_urlencoded() -> None:
    body = DOCUMENT["paths"]["/v1/tasks/form"]["post"]["requestBody"]["content"]

    assert body.keys() == {"multipart/form-data", "application/x-www-form-urlencoded"}
    assert body["multipart/form-data"]["schema"]["$ref"].endswith("CreateTaskForm")
    for name in FILE_FIELDS:
        assert SCHEMAS["CreateTaskForm"]["properties"][name]["format"] == "binary"


def test_events_are_documented_as_server_sent_events() -> None:
    answer = DOCUMENT["paths"]["/v1/tasks/{task_id}/events"]["get"]["responses"]["200"]

    event = answer["content"]["text/event-stream"]["schema"]["properties"]

    assert event["event"]["enum"] == ["state", "progress", "preview"]
    assert set(references(event["data"])) == {
        f"#/components/schemas/{name}" for name in ("StateEvent", "ProgressEvent", "PreviewEvent")
    }


def test_components_are_used() -> None:
    used = {each.removeprefix("#/components/") for each in references(DOCUMENT)}

    for kind in ("schemas", "responses", "parameters", "headers"):
        names = {f"{kind}/{name}" for name in DOCUMENT["components"][kind]}
        assert names <= used


def test_no_operation_has_two_errors_of_one_status() -> None:
    for rpc, operation in OPERATIONS.items():
        statuses = [ERRORS[name][0] for name in operation.errors]
        assert len(statuses) == len(set(statuses)), rpc


def test_later_bindings_of_one_rpc_have_ids_of_their_own() -> None:
    doubled = [each for each in bindings_of_tasks() if each.ordinal]

    ids = {DOCUMENT["paths"][each.path][each.verb]["operationId"]: each.method for each in doubled}

    assert ids == {
        "cancelVideo2": "CancelVideo",
        "downloadFileHead": "DownloadFile",
        "generate2": "Generate",
        "getImageContentHead": "GetImageContent",
        "getOutputHead": "GetOutput",
        "getVideoContentHead": "GetVideoContent",
        "getVideoFileHead": "GetVideoFile",
    }


def _classes(root: type[TeleFuserError]) -> Iterator[type[TeleFuserError]]:
    yield root
    for each in root.__subclasses__():
        yield from _classes(each)
