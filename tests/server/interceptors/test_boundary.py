"""What leaves the server when a servicer breaks, and what is logged of it."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
import structlog
from structlog.testing import capture_logs

from telefuser_grpc._gen.telefuser.rest.v1 import rest_task_service_pb2 as rest
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2 as pb
from telefuser_grpc.domain.task import Task, TaskEvent
from telefuser_grpc.server.interceptors.boundary import _guarded_stream
from telefuser_grpc.server.rest.bodies import documented_wording
from tests.server.backend import Backend
from tests.server.refusal import Refusal, refusal
from tests.server.rest.gateway import Gateway, transcoded

SECRET = "/srv/secret/model.bin"
TEXT = "The server met a fault of its own; its log has the details"


async def _break(*_: object) -> Task:
    structlog.get_logger().info("breaks")
    raise ValueError(SECRET)


async def _break_later(*_: object) -> AsyncIterator[TaskEvent]:
    await _break()
    yield  # type: ignore[misc]


@pytest.fixture
def broken(backend: Backend) -> Backend:
    """A service whose store is broken."""
    backend.tasks.get = _break  # type: ignore[assignment, method-assign]
    backend.tasks.watch = _break_later  # type: ignore[assignment, method-assign]
    return backend


@pytest.mark.parametrize(
    ("method", "request_type", "event"),
    [
        ("GetTask", pb.GetTaskRequest, "call failed"),
        ("WatchTask", pb.WatchTaskRequest, "stream failed"),
    ],
)
async def test_broken_servicer_is_internal_and_tells_nothing(
    broken: Backend, method: str, request_type: Any, event: str
) -> None:
    with capture_logs() as logs:
        refused = await refusal(getattr(broken.task_service, method)(request_type(task_id="t1")))

    assert refused == Refusal(
        code=grpc.StatusCode.INTERNAL,
        message=TEXT,
        reason="INTERNAL",
        domain="telefuser",
        metadata={},
        violations={},
        retry_seconds=None,
    )
    assert [(each["event"], each.get("method")) for each in logs] == [
        ("breaks", None),
        (event, method),
    ]
    assert logs[-1]["log_level"] == "error"
    assert logs[-1]["exc_info"]


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("GetTaskStatus", rest.GetTaskStatusRequest),
        ("StreamTaskEvents", rest.StreamTaskEventsRequest),
    ],
)
async def test_broken_servicer_is_500_over_rest(
    broken: Backend, method: str, request_type: Any
) -> None:
    gateway = Gateway(broken)

    with capture_logs():
        answer = await gateway.ask(getattr(gateway.tasks, method), request_type(task_id="t1"))

    assert (answer.status, answer.json) == (500, {"detail": TEXT})
    assert not any(SECRET in value for value in answer.headers.values())


@pytest.mark.parametrize("method", ["GetTask", "WatchTask"])
async def test_request_id_is_bound_to_the_log(broken: Backend, method: str) -> None:
    request = {"GetTask": pb.GetTaskRequest, "WatchTask": pb.WatchTaskRequest}[method]
    logs = structlog.testing.LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, logs])
    try:
        call = getattr(broken.task_service, method)
        await refusal(call(request(task_id="t1"), metadata=(("x-request-id", "r-1"),)))
        await refusal(call(request(task_id="t1")))
    finally:
        structlog.reset_defaults()

    assert [each.get("request_id") for each in logs.entries] == ["r-1", "r-1", None, None]


async def test_native_caller_gets_no_rest_metadata(backend: Backend) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await backend.task_service.GetTask(pb.GetTaskRequest(task_id="none"))

    keys = {key for key, _ in caught.value.trailing_metadata() or ()}
    assert keys == {"grpc-status-details-bin"}


async def test_transcoded_caller_gets_no_status_details(backend: Backend) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await Gateway(backend).tasks.GetTaskStatus(
            rest.GetTaskStatusRequest(task_id="none"), metadata=transcoded()
        )

    keys = {key for key, _ in caught.value.trailing_metadata() or ()}
    assert keys == {"x-http-status", "x-error-json"}
    assert caught.value.details() == "TASK_NOT_FOUND"


async def test_rest_error_is_ascii(backend: Backend) -> None:
    answer = await Gateway(backend).create('{"prompt": "p", "task_id": "图"}'.encode())

    assert answer.status == 422
    assert answer.body.isascii()


async def test_stream_is_closed_with_what_it_wraps() -> None:
    closed = []

    async def stream(request: object, context: object) -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            closed.append(request)

    reply = _guarded_stream(stream, documented_wording())
    wrapped = reply("request", Mock(invocation_metadata=tuple))
    await anext(wrapped)
    await wrapped.aclose()

    assert closed == ["request"]
