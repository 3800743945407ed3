"""The server as a whole: its standard services, its address and its end."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from telefuser_grpc._gen.telefuser.v1 import system_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2
from telefuser_grpc.server.listener import AddressInUse
from telefuser_grpc.server.server import Server
from tests.fakes.replicas import Script
from tests.server.backend import MAX_MESSAGE_BYTES, Backend, create_request

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_health_check_says_serving(backend: Backend) -> None:
    stub = health_pb2_grpc.HealthStub(backend.channel)

    assert (await stub.Check(health_pb2.HealthCheckRequest())).status == SERVING


async def test_health_watcher_hears_of_the_stop_before_its_stream_ends(backend: Backend) -> None:
    stub = health_pb2_grpc.HealthStub(backend.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    before = (await watch.read()).status

    stopping = asyncio.create_task(backend.server.stop(30))
    during = (await watch.read()).status
    watch.cancel()
    await stopping

    assert (before, during) == (SERVING, NOT_SERVING)


async def test_channelz_shows_the_server(backend: Backend) -> None:
    stub = channelz_pb2_grpc.ChannelzStub(backend.channel)

    servers = (await stub.GetServers(channelz_pb2.GetServersRequest(start_server_id=0))).server

    assert any(each.data.calls_started > 0 for each in servers)


async def test_unknown_method_is_unimplemented(backend: Backend) -> None:
    call: Any = backend.channel.unary_unary("/telefuser.v1.TaskService/Unknown")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_waiting_for_calls_takes_few_tasks_however_many_methods_there_are(
    backend: Backend,
) -> None:
    await backend.create()

    assert len(asyncio.all_tasks()) < 20


async def test_message_beyond_the_limit_is_refused(backend: Backend) -> None:
    request = create_request(prompt="x" * MAX_MESSAGE_BYTES)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await backend.task_service.CreateTask(request)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_second_server_on_a_port_says_that_it_is_taken(backend: Backend) -> None:
    first = Server("127.0.0.1:0", backend.use_cases, max_message_bytes=MAX_MESSAGE_BYTES)
    port = await first.start()
    address = f"127.0.0.1:{port}"
    second = Server(address, backend.use_cases, max_message_bytes=MAX_MESSAGE_BYTES)

    with pytest.raises(AddressInUse, match=f"cannot listen on {address}: it is in use"):
        await second.start()

    await second.stop(0)
    await first.stop(0)


async def test_start_on_port_zero_returns_the_port_that_answers(backend: Backend) -> None:
    server = Server("127.0.0.1:0", backend.use_cases, max_message_bytes=MAX_MESSAGE_BYTES)

    port = await server.start()

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == SERVING
    await server.stop(0)


async def test_stop_cuts_streams_after_its_grace(backend: Backend) -> None:
    await backend.create("t1")
    events = backend.events("t1")
    await anext(events)

    await backend.server.stop(0)

    with pytest.raises(grpc.aio.AioRpcError):
        async for _ in events:
            pass
    assert await backend.tasks.closed.get() == "t1"


async def test_call_within_the_grace_is_finished(backend: Backend) -> None:
    gate = asyncio.Event()
    backend.pool.script = Script(gates={0: gate})
    await backend.create("t1")
    events = backend.events("t1")
    await anext(events)

    stopping = asyncio.create_task(backend.server.stop(30))
    gate.set()
    *_, last = [each async for each in events]
    await stopping

    assert last.WhichOneof("event") == "state_change"
    assert last.sequence == 7


async def test_socket_is_where_it_was_asked_for(backend: Backend) -> None:
    assert Path(backend.address.removeprefix("unix:")).is_socket()


async def test_calls_on_one_channel_do_not_wait_for_each_other(backend: Backend) -> None:
    await backend.create("t1")
    events = [backend.events("t1") for _ in range(20)]
    for each in events:
        await anext(each)

    response = await backend.system_service.GetHealth(pb.GetHealthRequest())
    queue = await backend.task_service.GetQueue(task_service_pb2.GetQueueRequest())

    assert response.ready
    assert queue.queue.limit == 3
