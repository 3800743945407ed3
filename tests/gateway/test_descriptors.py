"""What is read from the protos."""

import re

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from telefuser_grpc.gateway.descriptors import (
    HttpRoute,
    descriptor_set,
    http_routes,
    rpc_methods,
)


def _route(path_template: str) -> HttpRoute:
    return HttpRoute(service="s.S", method="M", verb="GET", path_template=path_template)


def test_every_documented_path_has_its_methods() -> None:
    found = {(each.verb, each.path_template) for each in http_routes()}

    assert found >= {
        ("POST", "/v1/tasks/create"),
        ("GET", "/v1/tasks/{task_id}/status"),
        ("DELETE", "/v1/tasks/{task_id}"),
        ("GET", "/v1/tasks/queue/status"),
        ("GET", "/v1/files/download/{file_path=**}"),
        ("HEAD", "/v1/files/download/{file_path=**}"),
        ("GET", "/v1/service/health"),
    }


def test_route_knows_its_rpc() -> None:
    (events,) = [each for each in http_routes() if each.method == "StreamTaskEvents"]

    assert events.service == "telefuser.rest.v1.RestTaskService"
    assert events.server_streaming
    assert not events.client_streaming


def test_native_rpcs_have_no_path() -> None:
    names = {f"{each.containing_service.full_name}" for each in rpc_methods()}

    assert "telefuser.v1.TaskService" in names
    assert "telefuser.v1.TaskService" not in {each.service for each in http_routes()}


@pytest.mark.parametrize(
    ("template", "matches", "misses"),
    [
        ("/v1/a.b", ["/v1/a.b", "/v1/a.b/"], ["/v1/axb", "/v1/a.b/c"]),
        ("/v1/{id}/status", ["/v1/t-1/status"], ["/v1//status", "/v1/a/b/status", "/v1/status"]),
        ("/v1/files/{path=**}", ["/v1/files/a", "/v1/files/a/b.mp4", "/v1/files/"], ["/v1/files"]),
        ("/v1/{name=shelves/*/books/*}", ["/v1/shelves/1/books/2"], ["/v1/shelves/1/books"]),
        ("/v1/{name=shelves/*}/books/{id}", ["/v1/shelves/1/books/2"], ["/v1/books/2"]),
    ],
)
def test_template_matches_what_it_means(
    template: str, matches: list[str], misses: list[str]
) -> None:
    regex = _route(template).regex

    assert all(re.fullmatch(regex, path) for path in matches)
    assert not any(re.fullmatch(regex, path) for path in misses)
    assert re.fullmatch(regex, _route(template).example)


def test_descriptors_stand_alone_in_order() -> None:
    pool = DescriptorPool()

    for file in descriptor_set().file:
        pool.AddSerializedFile(FileDescriptorProto.SerializeToString(file))

    assert pool.FindServiceByName("telefuser.rest.v1.RestTaskService")
    assert pool.FindMessageTypeByName("google.rpc.ErrorInfo")


def test_descriptors_are_the_same_each_time() -> None:
    assert descriptor_set() == descriptor_set()
