"""gRPC and gRPC-Web through the port that REST uses."""

import asyncio
import struct

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from telefuser_grpc._gen.envoy.service.auth.v3 import external_auth_pb2 as auth_pb
from telefuser_grpc._gen.envoy.service.auth.v3 import external_auth_pb2_grpc as auth_grpc
from telefuser_grpc._gen.telefuser.v1 import artifact_service_pb2 as artifact_pb
from telefuser_grpc._gen.telefuser.v1 import artifact_service_pb2_grpc as artifact_grpc
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2_grpc as task_grpc
from tests.gateway.conftest import LIMIT
from tests.gateway.upstream import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_unary_call_passes(channel: grpc.aio.Channel, upstream: Upstream) -> None:
    answer = await task_grpc.TaskServiceStub(channel).GetTask(
        pb.GetTaskRequest(task_id="t1"), metadata=(("x-request-id", "mine"),)
    )

    assert answer.task.task_id == "t1"
    metadata = upstream.last("GetTask")
    assert metadata["x-request-id"] == "mine"
    assert "x-envoy-original-path" not in metadata


async def test_stream_passes(channel: grpc.aio.Channel) -> None:
    call = task_grpc.TaskServiceStub(channel).WatchTask(pb.WatchTaskRequest(task_id="t1"))

    assert [each.event.sequence async for each in call] == [1, 2, 3]


async def test_error_keeps_its_details(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await task_grpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id="missing"))

    status = rpc_status.from_call(caught.value)
    reason = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(reason)
    assert (status.message, reason.reason) == ("Task not found", "TASK_NOT_FOUND")


async def test_caller_deadline_holds(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await task_grpc.TaskServiceStub(channel).GetTask(
            pb.GetTaskRequest(task_id="slow"), timeout=0.1
        )

    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_rest_timeout_does_not_bind_grpc_callers(channel: grpc.aio.Channel) -> None:
    call = task_grpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id="slow"))

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(call, 1.0)


async def test_message_over_the_rest_limit_passes(channel: grpc.aio.Channel) -> None:
    answer = await task_grpc.TaskServiceStub(channel).CreateTask(
        pb.CreateTaskRequest(prompt="x" * (3 * LIMIT))
    )

    assert answer.task.task_id == str(3 * LIMIT)


async def test_upload_over_the_rest_limit_passes(channel: grpc.aio.Channel) -> None:
    async def pieces():
        for _ in range(10):
            yield artifact_pb.UploadInputRequest(chunk=b"x" * LIMIT)

    call = artifact_grpc.ArtifactServiceStub(channel).UploadInput(pieces())

    received = dict(await call.initial_metadata())["x-received"]
    assert int(received) > 10 * LIMIT
    await call


async def test_health_passes(channel: grpc.aio.Channel) -> None:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_health_watch_outlives_the_unary_timeout(channel: grpc.aio.Channel) -> None:
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    await watch.read()

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(watch.read(), 1.0)


async def test_reflection_passes(channel: grpc.aio.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]))
    answer = await call.read()

    names = {each.name for each in answer.list_services_response.service}
    assert "telefuser.v1.TaskService" in names


async def test_unknown_service_is_unimplemented(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary("/no.such.Service/Method")(b"")

    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_file_check_cannot_be_called_from_outside(
    channel: grpc.aio.Channel, upstream: Upstream
) -> None:
    upstream.calls.clear()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auth_grpc.AuthorizationStub(channel).Check(auth_pb.CheckRequest())

    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert upstream.calls == []


async def test_forged_marks_of_the_gateway_are_removed(
    channel: grpc.aio.Channel, upstream: Upstream
) -> None:
    forged = {"x-envoy-original-path", "x-envoy-original-method", "x-client-id"}

    await task_grpc.TaskServiceStub(channel).GetTask(
        pb.GetTaskRequest(task_id="t1"), metadata=tuple((name, "forged") for name in forged)
    )

    assert not forged & set(upstream.last("GetTask"))


async def test_grpc_web_call_passes(http: httpx.AsyncClient) -> None:
    frames, headers = await _web_call(http, "GetTask", pb.GetTaskRequest(task_id="t1"))

    answer = pb.GetTaskResponse.FromString(frames[0][1])
    assert answer.task.task_id == "t1"
    assert frames[1][0] == 0x80
    assert b"grpc-status:0" in frames[1][1]
    assert headers["access-control-allow-origin"] == "https://studio.example"


async def test_grpc_web_stream_passes(http: httpx.AsyncClient) -> None:
    frames, _ = await _web_call(http, "WatchTask", pb.WatchTaskRequest(task_id="t1"))

    answers = [pb.WatchTaskResponse.FromString(data) for flag, data in frames if flag == 0]
    assert [each.event.sequence for each in answers] == [1, 2, 3]


async def test_grpc_web_error_passes(http: httpx.AsyncClient) -> None:
    frames, headers = await _web_call(http, "GetTask", pb.GetTaskRequest(task_id="missing"))

    assert frames == []
    assert (headers["grpc-status"], headers["grpc-message"]) == ("5", "Task not found")


async def _web_call(
    http: httpx.AsyncClient, method: str, request: pb.GetTaskRequest | pb.WatchTaskRequest
) -> tuple[list[tuple[int, bytes]], httpx.Headers]:
    data = request.SerializeToString()
    answer = await http.post(
        f"/telefuser.v1.TaskService/{method}",
        content=b"\0" + struct.pack(">I", len(data)) + data,
        headers={
            "content-type": "application/grpc-web+proto",
            "x-grpc-web": "1",
            "origin": "https://studio.example",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/grpc-web")
    return list(_frames(answer.content)), answer.headers


def _frames(content: bytes):
    while content:
        flag, length = struct.unpack(">BI", content[:5])
        yield flag, content[5 : 5 + length]
        content = content[5 + length :]
