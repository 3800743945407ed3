"""The native task service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from telefuser_grpc._gen.telefuser.v1 import task_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1.task_service_pb2_grpc import TaskServiceServicer
from telefuser_grpc.domain.task import Preview, TaskEvent
from telefuser_grpc.scheduler.admission import Admission
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.server import convert
from telefuser_grpc.server.rpc import Context

QUEUE_INTERVAL_SECONDS = 0.1  # a long queue that changes often must not occupy the server


class TaskServicer(TaskServiceServicer):
    """Answers `telefuser.v1.TaskService`."""

    def __init__(self, *, tasks: Desk, admission: Admission) -> None:
        self._tasks = tasks
        self._admission = admission
        self._responses = EventResponses()

    async def CreateTask(
        self, request: pb.CreateTaskRequest, context: Context
    ) -> pb.CreateTaskResponse:
        task = await self._admission.admit(convert.task_request(request))
        return pb.CreateTaskResponse(task=convert.task(task))

    async def GetTask(self, request: pb.GetTaskRequest, context: Context) -> pb.GetTaskResponse:
        task = await self._tasks.get(request.task_id)
        return pb.GetTaskResponse(task=convert.task(task))

    async def ListTasks(
        self, request: pb.ListTasksRequest, context: Context
    ) -> pb.ListTasksResponse:
        page = await self._tasks.list(convert.task_query(request))
        return pb.ListTasksResponse(
            tasks=map(convert.task, page.tasks), next_page_token=page.next_page_token
        )

    async def CancelTask(
        self, request: pb.CancelTaskRequest, context: Context
    ) -> pb.CancelTaskResponse:
        task = await self._tasks.cancel(request.task_id)
        return pb.CancelTaskResponse(task=convert.task(task))

    async def DeleteTask(
        self, request: pb.DeleteTaskRequest, context: Context
    ) -> pb.DeleteTaskResponse:
        await self._tasks.delete(request.task_id)
        return pb.DeleteTaskResponse()

    async def WatchTask(
        self, request: pb.WatchTaskRequest, context: Context
    ) -> AsyncIterator[pb.WatchTaskResponse]:
        async with aclosing(self._tasks.watch(request.task_id, request.after_sequence)) as events:
            async for event in events:
                if not (request.omit_previews and isinstance(event.change, Preview)):
                    yield self._responses.of(event)

    async def GetQueue(self, request: pb.GetQueueRequest, context: Context) -> pb.GetQueueResponse:
        return pb.GetQueueResponse(queue=convert.queue(self._tasks.queue()))

    async def WatchQueue(
        self, request: pb.WatchQueueRequest, context: Context
    ) -> AsyncIterator[pb.WatchQueueResponse]:
        async with aclosing(self._tasks.changes()) as changes:
            async for _ in changes:
                yield pb.WatchQueueResponse(queue=convert.queue(self._tasks.queue()))
                await asyncio.sleep(QUEUE_INTERVAL_SECONDS)


class EventResponses:
    """Writes an event once for all who watch it: they ask for the same event in a row."""

    def __init__(self) -> None:
        self._last: tuple[TaskEvent, pb.WatchTaskResponse] | None = None

    def of(self, event: TaskEvent) -> pb.WatchTaskResponse:
        """Returns the response that carries the event."""
        if self._last is None or self._last[0] is not event:
            self._last = (event, pb.WatchTaskResponse(event=convert.event(event)))
        return self._last[1]
