"""The documented REST face of tasks."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from google.api.httpbody_pb2 import HttpBody
from pydantic import BaseModel, ConfigDict, Field, field_validator

from telefuser_grpc._gen.telefuser.rest.v1 import rest_task_service_pb2 as pb
from telefuser_grpc._gen.telefuser.rest.v1.rest_task_service_pb2_grpc import RestTaskServiceServicer
from telefuser_grpc.domain.kinds import KIND_PATTERN
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import InvalidPageToken, TaskNotFound, TeleFuserError
from telefuser_grpc.scheduler.admission import Admission, TaskRequest
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.ports import Uploads
from telefuser_grpc.server.rest import sse
from telefuser_grpc.server.rest.bodies import json_response, parse, validate
from telefuser_grpc.server.rest.form_fields import contents, form_fields
from telefuser_grpc.server.rest.forms import received
from telefuser_grpc.server.rest.idempotency import idempotency_key
from telefuser_grpc.server.rest.task_query import task_query, wrong_page_token
from telefuser_grpc.server.rpc import Context

AspectRatio = Literal["16:9", "9:16", "4:3", "3:4", "1:1", "2:3", "3:2"]
DOCUMENTED_KIND = "t2v"  # of a request that names none and gives no media
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]  # an int64 of the native interface

ECHOED = (
    "prompt",
    "negative_prompt",
    "resolution",
    "target_video_length",
    "aspect_ratio",
    "output_format",
    "model",
)


class CreateTaskBody(BaseModel):
    """The body of `POST /v1/tasks/create`; other fields are kept for the pipeline."""

    model_config = ConfigDict(extra="allow")

    task: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    aspect_ratio: AspectRatio = "16:9"
    resolution: str = "720p"
    seed: Seed = 42
    first_image_path: str = ""
    last_image_path: str = ""
    ref_video_path: str = ""
    audio_path: str = ""
    target_video_length: int = 5
    output_format: Literal["png", "jpg", "jpeg", "webp"] = "png"
    output_path: str = ""
    task_id: str = ""

    @field_validator("task")
    @classmethod
    def _known_form(cls, value: str) -> str:
        kind = value.strip().lower()
        if kind and not KIND_PATTERN.fullmatch(kind):
            raise ValueError(f"must match {KIND_PATTERN.pattern}")
        return kind

    def request(self) -> TaskRequest:
        """Returns what is asked for, the given fields apart from the generic defaults."""
        everything = self.model_dump(exclude={"task", "task_id"})
        given = self.model_fields_set | set(self.model_extra or ())
        return TaskRequest(
            kind=self.task,
            default_kind=DOCUMENTED_KIND,
            task_id=self.task_id,
            fields={name: value for name, value in everything.items() if name in given},
            generic_defaults={
                name: value
                for name, value in everything.items()
                if name not in given and value != ""
            },
        )


class RestTaskServicer(RestTaskServiceServicer):
    """Answers `telefuser.rest.v1.RestTaskService`."""

    def __init__(self, *, tasks: Desk, admission: Admission, uploads: Uploads) -> None:
        self._tasks = tasks
        self._admission = admission
        self._uploads = uploads

    async def CreateTask(
        self, request: pb.CreateTaskRequest, context: Context
    ) -> pb.CreateTaskResponse:
        asked = parse(CreateTaskBody, request.body).request()
        task = await self._admission.admit(replace(asked, request_id=idempotency_key(context)))
        return pb.CreateTaskResponse(body=json_response(created_body(task)))

    async def CreateTaskFromForm(
        self, requests: AsyncIterator[pb.CreateTaskFromFormRequest], context: Context
    ) -> pb.CreateTaskFromFormResponse:
        request_id = idempotency_key(context)
        if not request_id:  # one that comes again is answered also when there is no room
            self._admission.check_room()
        async with received((each.body async for each in requests), self._uploads) as form:
            fields = form_fields(
                form, self._admission.contract, model_fields=CreateTaskBody.model_fields
            )
            asked = replace(
                validate(CreateTaskBody, fields).request(),
                default_kind="",
                contents=contents(form),
                request_id=request_id,
            )
            task = await self._admission.admit(asked)
        return pb.CreateTaskFromFormResponse(body=json_response(created_body(task)))

    async def ListTasks(
        self, request: pb.ListTasksRequest, context: Context
    ) -> pb.ListTasksResponse:
        query = task_query(
            status=request.status,
            task=request.task,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        try:
            page = await self._tasks.list(query)
        except InvalidPageToken:
            raise wrong_page_token() from None
        body = {
            "tasks": [status_body(task) for task in page.tasks],
            "next_page_token": page.next_page_token or None,
        }
        return pb.ListTasksResponse(body=json_response(body))

    async def GetTaskStatus(
        self, request: pb.GetTaskStatusRequest, context: Context
    ) -> pb.GetTaskStatusResponse:
        task = await self._tasks.get(request.task_id)
        return pb.GetTaskStatusResponse(body=json_response(status_body(task)))

    async def CancelTask(
        self, request: pb.CancelTaskRequest, context: Context
    ) -> pb.CancelTaskResponse:
        return pb.CancelTaskResponse(body=json_response(await self._cancel(request.task_id)))

    async def GetQueueStatus(
        self, request: pb.GetQueueStatusRequest, context: Context
    ) -> pb.GetQueueStatusResponse:
        waiting = self._tasks.counts()[TaskState.PENDING]
        running, limit = self._tasks.running(), self._tasks.limits.queue
        running_count = self._tasks.running_count()
        body = {
            "is_processing": running_count > 0,
            "current_task": running[0] if running else None,
            "pending_count": waiting,
            "active_count": running_count,
            "queue_size": limit,
            "queue_available": max(0, limit - waiting - running_count),
        }
        return pb.GetQueueStatusResponse(body=json_response(body))

    async def StreamTaskEvents(
        self, request: pb.StreamTaskEventsRequest, context: Context
    ) -> AsyncIterator[pb.StreamTaskEventsResponse]:
        after = sse.resume_after(context.invocation_metadata(), request.after_sequence)
        await self._tasks.get(request.task_id)
        async with (
            aclosing(self._tasks.watch(request.task_id, after)) as events,
            aclosing(sse.frames(events, previews=request.previews)) as frames,
        ):
            async for frame in frames:
                body = HttpBody(content_type=sse.CONTENT_TYPE, data=frame)
                yield pb.StreamTaskEventsResponse(body=body)

    async def _cancel(self, task_id: str) -> dict[str, str]:
        was_active = self._tasks.holds(task_id)
        try:
            task = await self._tasks.cancel(task_id)
        except TaskNotFound:
            return {"stop_status": "do_nothing", "reason": "Task not found."}
        except TeleFuserError as error:
            return {"stop_status": "error", "reason": error.message}
        if was_active:
            return {"stop_status": "success", "reason": "Task cancellation accepted."}
        return {"stop_status": "do_nothing", "reason": f"Task already terminal: {task.state}."}


def created_body(task: Task) -> dict[str, Any]:
    """Writes what a caller is told of an admitted task."""
    return {
        "task_id": task.id,
        "task_status": _status_word(task),
        "output_path": task.output_name,
        "peak_memory_mb": task.peak_memory_mib,
        "inference_time_s": task.inference_seconds,
    }


def status_body(task: Task) -> dict[str, Any]:
    """Writes a task as `GET /v1/tasks/{task_id}/status` documents it."""
    return {
        "task_id": task.id,
        "status": _status_word(task),
        "start_time": _naive(task.started_at or task.created_at),
        "end_time": _naive(task.finished_at),
        "error": task.error.message if task.error and task.state.is_terminal else None,
        "output_path": task.output_name,
        "peak_memory_mb": task.peak_memory_mib,
        "inference_time_s": task.inference_seconds,
        "task": task.kind,
        **{name: task.fields[name] for name in ECHOED if task.fields.get(name)},
        **{name: task.sources.get(name, handle) for name, handle in task.inputs.items()},
        "media_type": task.media_type,
        "created_at": _zulu(task.created_at),
        "started_at": _zulu(task.started_at),
        "finished_at": _zulu(task.finished_at),
        "attempt": task.attempt,
        "progress": _progress(task),
        "last_sequence": task.sequence,
    }


def _status_word(task: Task) -> str:
    """The documented word; a task that is being stopped still counts as processing."""
    return "processing" if task.state is TaskState.CANCELLING else str(task.state)


def _progress(task: Task) -> dict[str, Any] | None:
    if task.progress is None:
        return None
    return {"step": task.progress.step, "steps": task.progress.steps, "stage": task.progress.stage}


def _naive(time: datetime | None) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%S") if time else None


def _zulu(time: datetime | None) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ") if time else None
