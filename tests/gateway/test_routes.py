"""The routing table, for protos that we have and for those to come."""

from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.gateway.descriptors import HttpRoute, http_routes, rpc_methods
from telefuser_grpc.gateway.options import GatewayOptions, RateLimit
from telefuser_grpc.gateway.rate_limit import Bucket, bucket_of
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
    table = _table()

    filters = table["known-RestTaskService.CreateTaskFromForm"]["typed_per_filter_config"]
    assert filters["body-limit-json"]["disabled"]
    assert not filters["body-limit-upload"].get("disabled")
    rpc = table["rpc-telefuser.rest.v1.RestTaskService/CreateTaskFromForm"]["route"]
    assert (rpc["timeout"], rpc["idle_timeout"]) == ("0s", "30s")


@pytest.mark.parametrize(
    "path", ["/v1/images/generations", "/v1/images/edits", "/generate", "/v1/generate"]
)
def test_call_that_answers_with_what_it_made_may_take_long(path: str) -> None:
    made = HttpRoute(
        service="telefuser.rest.v1.RestTaskService",
        method="ListTasks",
        verb="POST",
        path_template=path,
    )

    table = _table([*http_routes(), made])

    assert table["rpc-telefuser.rest.v1.RestTaskService/ListTasks"]["route"] == {
        "cluster": "server",
        "timeout": "600s",
        "idle_timeout": "600s",
    }
    assert table["rpc-telefuser.rest.v1.RestTaskService"]["route"]["timeout"] == "30s"


def test_upload_that_is_answered_with_what_was_made_may_be_silent_until_then() -> None:
    rpc = _table()["rpc-openai.v1.ImageService/CreateImageEdit"]["route"]

    assert (rpc["timeout"], rpc["idle_timeout"]) == ("0s", "630s")


def test_without_a_rate_limit_no_route_counts() -> None:
    assert not any("rate_limits" in each.get("route", {}) for each in _table().values())


@pytest.mark.parametrize(
    ("verb", "path", "bucket"),
    [
        ("POST", "/v1/tasks/create", Bucket.EXPENSIVE),
        ("POST", "/v1/tasks/form", Bucket.EXPENSIVE),
        ("POST", "/v1/images/generations", Bucket.EXPENSIVE),
        ("POST", "/v1/images/edits", Bucket.EXPENSIVE),
        ("POST", "/v1/videos", Bucket.EXPENSIVE),
        ("POST", "/v1/videos/{video_id}/remix", Bucket.EXPENSIVE),
        ("GET", "/v1/files/download/{file_path=**}", Bucket.EXPENSIVE),
        ("POST", "/video/submit", Bucket.EXPENSIVE),
        ("POST", "/generate", Bucket.GENERATIONS),
        ("POST", "/v1/generate", Bucket.GENERATIONS),
        ("POST", "/v1/stream/webrtc/offer", Bucket.EXPENSIVE),
        ("POST", "/video/status", Bucket.READS),
        ("POST", "/video/cancel", Bucket.READS),
        ("GET", "/v1/videos", Bucket.READS),
        ("GET", "/v1/videos/{video_id}", Bucket.READS),
        ("DELETE", "/v1/videos/{video_id}", Bucket.READS),
        ("GET", "/v1/videos/{video_id}/content", Bucket.READS),
        ("GET", "/v1/tasks/{task_id}/status", Bucket.READS),
        ("GET", "/v1/tasks/{task_id}/events", Bucket.READS),
        ("DELETE", "/v1/tasks/{task_id}", Bucket.READS),
        ("GET", "/v1/service/status", Bucket.READS),
        ("GET", "/v1/service/metadata", Bucket.READS),
        ("GET", "/docs", Bucket.READS),
        ("GET", "/v1/service/health", None),
        ("GET", "/v1/service/ready", None),
        ("GET", "/v1/service/metrics", None),
        ("GET", "/v1/service/metrics/json", None),
        ("GET", "/health", None),
    ],
)
def test_call_takes_from_its_bucket(verb: str, path: str, bucket: Bucket | None) -> None:
    route = HttpRoute(service="s.S", method="M", verb=verb, path_template=path)

    assert bucket_of(route) is bucket


def test_native_calls_that_cost_much_count() -> None:
    options = GatewayOptions(upstream="/s", rate_limit=RateLimit())

    counted = {
        name
        for name, each in _table(options=options).items()
        if name.startswith("rpc-telefuser.v1.") and "rate_limits" in each["route"]
    }

    assert counted == {
        "rpc-telefuser.v1.TaskService/CreateTask",
        "rpc-telefuser.v1.ArtifactService/UploadInput",
        "rpc-telefuser.v1.ArtifactService/DownloadArtifact",
    }
