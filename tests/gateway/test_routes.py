"""The routing table, for protos that we have and for those to come."""

from pathlib import Path
from typing import Any

from telefuser_grpc.gateway.descriptors import HttpRoute, http_routes, rpc_methods
from telefuser_grpc.gateway.options import GatewayOptions
from telefuser_grpc.gateway.routes import routing_table

OPTIONS = GatewayOptions(upstream="/run/server.sock", rpc_timeout_seconds=30)


def _table(
    bindings: list[HttpRoute] | None = None, options: GatewayOptions = OPTIONS
) -> dict[str, Any]:
    bindings = http_routes() if bindings is None else bindings
    return {each["name"]: each for each in routing_table(bindings, rpc_methods(), options)}


def test_streams_have_no_timeout_but_may_not_be_silent_for_ever() -> None:
    table = _table()

    for name in (
        "rpc-telefuser.v1.TaskService/WatchTask",
        "rpc-telefuser.v1.ArtifactService/UploadInput",
        "rpc-telefuser.rest.v1.RestTaskService/StreamTaskEvents",
    ):
        route = table[name]["route"]
        assert (route["timeout"], route["idle_timeout"]) == ("0s", "3600s")


def test_rest_calls_end_in_time_and_grpc_calls_when_their_caller_says() -> None:
    table = _table()

    assert table["rpc-telefuser.rest.v1.RestTaskService"]["route"]["timeout"] == "30s"
    assert table["rpc-telefuser.v1.TaskService"]["route"]["timeout"] == "0s"
    assert table["rpc-grpc"]["route"]["timeout"] == "0s"


def test_more_literal_paths_come_first() -> None:
    names = list(_table())

    literal = names.index("known-RestTaskService.GetQueueStatus")
    assert literal < names.index("known-RestTaskService.GetTaskStatus")
    assert names[-1] == "unknown"


def test_files_are_left_to_the_server_without_a_shared_file_system() -> None:
    assert "file" not in _table()
    assert "file" in _table(options=GatewayOptions(upstream="/s", artifact_root=Path("/a")))


def test_streamed_upload_has_the_limit_of_uploads() -> None:
    upload = HttpRoute(
        service="telefuser.rest.v1.RestTaskService",
        method="CreateTaskForm",
        verb="POST",
        path_template="/v1/tasks/form",
        client_streaming=True,
    )

    filters = _table([upload])["known-RestTaskService.CreateTaskForm"]["typed_per_filter_config"]

    assert filters["body-limit-json"]["disabled"]
    assert not filters["body-limit-upload"].get("disabled")
