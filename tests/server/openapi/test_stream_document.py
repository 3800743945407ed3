"""The OpenAPI document of a server of sessions: valid, complete, and only about what is there."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from telefuser_grpc.gateway.descriptors import Face, http_routes
from telefuser_grpc.server.openapi.bindings import http_bindings
from telefuser_grpc.server.openapi.document import stream_document
from telefuser_grpc.server.openapi.stream_operations import STREAM_ERRORS, STREAM_OPERATIONS
from telefuser_grpc.server.rest.streams import OfferBody

DOCUMENT = stream_document()
SCHEMAS = DOCUMENT["components"]["schemas"]


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, verbs in DOCUMENT["paths"].items():
        for verb, operation in verbs.items():
            yield f"{verb.upper()} {path}", operation


def resolved(node: Any) -> Any:
    """Follows a reference."""
    while "$ref" in node:
        target: Any = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every JSON body of a request and of an answer."""
    for name, operation in operations():
        bodies = [("request", operation.get("requestBody", {}))]
        bodies += [(status, resolved(each)) for status, each in operation["responses"].items()]
        for status, body in bodies:
            if content := body.get("content", {}).get("application/json"):
                yield f"{name} {status}", content


def test_document_is_openapi_3_1() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()

    assert DOCUMENT["openapi"] == "3.1.0"


def test_every_path_of_the_face_is_documented_and_no_other() -> None:
    documented = {(verb, path) for path, verbs in DOCUMENT["paths"].items() for verb in verbs}

    routes = [(each.verb.lower(), each.service) for each in http_routes(Face.SESSIONS)]
    bound = {(each.verb, each.path) for each in http_bindings() if each.rpc in STREAM_OPERATIONS}
    assert documented == bound
    assert len(documented) == len(routes)
    assert not [path for _, path in documented if path.startswith(("/v1/tasks", "/v1/files"))]


@pytest.mark.parametrize("operation", [pytest.param(each, id=name) for name, each in operations()])
def test_operation_says_what_it_does_and_how_it_ends(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"].endswith(".")
    assert set(operation["tags"]) <= {each["name"] for each in DOCUMENT["tags"]}
    assert {"200", "400", "500", "503", "504"} <= operation["responses"].keys()
    for parameter in map(resolved, operation["parameters"]):
        assert parameter["description"], parameter


def test_offer_documents_each_of_its_refusals() -> None:
    responses = DOCUMENT["paths"]["/v1/stream/webrtc/offer"]["post"]["responses"]

    assert {"400", "409", "413", "422", "429", "503"} <= responses.keys()
    assert responses["503"]["$ref"].endswith("/NoSession")


@pytest.mark.parametrize(
    ("name", "content"), [pytest.param(*each, id=each[0]) for each in contents()]
)
def test_json_body_has_examples_and_every_one_fits(name: str, content: dict[str, Any]) -> None:
    schema = {**content["schema"], "components": {"schemas": SCHEMAS}}

    assert content.get("examples") or name == "GET /openapi.json 200"
    for example in content.get("examples", {}).values():
        jsonschema_rs.validate(schema, example["value"])


@pytest.mark.parametrize("schema", SCHEMAS)
def test_field_has_a_description(schema: str) -> None:
    fields = SCHEMAS[schema]["properties"]

    assert SCHEMAS[schema]["description"]
    assert [name for name, field in fields.items() if not field.get("description")] == []


def test_unknown_fields_of_an_offer_are_allowed() -> None:
    assert SCHEMAS["OfferBody"]["additionalProperties"] is True
    assert SCHEMAS["OfferBody"]["properties"].keys() == OfferBody.model_fields.keys()
    assert SCHEMAS["OfferBody"]["required"] == ["sdp", "task"]


def test_components_are_used() -> None:
    used = set(_references(DOCUMENT))

    for kind in ("schemas", "responses", "parameters", "headers"):
        assert {f"#/components/{kind}/{each}" for each in DOCUMENT["components"][kind]} <= used


def test_no_operation_has_two_errors_of_one_status() -> None:
    for rpc, operation in STREAM_OPERATIONS.items():
        statuses = [STREAM_ERRORS[name][0] for name in operation.errors]
        assert len(statuses) == len(set(statuses)), rpc


def _references(node: Any) -> Iterator[str]:
    match node:
        case dict():
            if "$ref" in node:
                yield node["$ref"]
            for each in node.values():
                yield from _references(each)
        case list():
            for each in node:
                yield from _references(each)
