"""A native client as thin as the generated stubs are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from telefuser_grpc._gen.telefuser.v1 import (
    artifact_service_pb2_grpc,
    system_service_pb2,
    system_service_pb2_grpc,
    task_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
)

OWN_CONNECTION = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
)
DOWNLOAD = "/telefuser.v1.ArtifactService/DownloadArtifact"
ENDED = frozenset(
    {task_pb2.TASK_STATE_COMPLETED, task_pb2.TASK_STATE_FAILED, task_pb2.TASK_STATE_CANCELLED}
)


class UnexpectedEnd(Exception):
    """A task has ended in another way than the benchmark needs."""


class Native:
    """Calls one server on one connection of its own."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.tasks = task_service_pb2_grpc.TaskServiceStub(channel)
        self.artifacts = artifact_service_pb2_grpc.ArtifactServiceStub(channel)
        self.system = system_service_pb2_grpc.SystemServiceStub(channel)

    async def create(self, **parameters: Any) -> str:
        """Creates a task and returns its id."""
        request = task_service_pb2.CreateTaskRequest(kind="t2v", prompt="a red circle")
        request.parameters.update(parameters)
        return (await self.tasks.CreateTask(request)).task.task_id

    async def watch(self, task_id: str) -> AsyncIterator[task_pb2.TaskEvent]:
        """Yields the events of a task to its end."""
        request = task_service_pb2.WatchTaskRequest(task_id=task_id)
        async for response in self.tasks.WatchTask(request):
            yield response.event

    async def complete(self, task_id: str) -> task_pb2.TaskEvent:
        """Waits for a task and returns the event that ends it. Raises UnexpectedEnd."""
        async for event in self.watch(task_id):
            last = event
        if last.state_change.state != task_pb2.TASK_STATE_COMPLETED:
            raise UnexpectedEnd(str(last))
        return last

    async def get(self, task_id: str) -> task_pb2.Task:
        """Returns a task."""
        response = await self.tasks.GetTask(task_service_pb2.GetTaskRequest(task_id=task_id))
        return response.task

    async def cancel(self, task_id: str) -> None:
        """Asks for a task to be stopped."""
        await self.tasks.CancelTask(task_service_pb2.CancelTaskRequest(task_id=task_id))

    async def status(self) -> system_service_pb2.GetStatusResponse:
        """Returns counts and replicas."""
        return await self.system.GetStatus(system_service_pb2.GetStatusRequest())


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Native]:
    """Opens a connection to a server or gateway on this machine."""
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", OWN_CONNECTION)
    async with channel:
        yield Native(channel)
