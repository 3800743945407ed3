"""The operations on tasks and their files."""

from typing import Any

from telefuser_grpc.server.openapi.event_bodies import EVENT_SCHEMA
from telefuser_grpc.server.openapi.operation import (
    JSON,
    Answer,
    Content,
    Operation,
    Parameter,
    json_answer,
)
from telefuser_grpc.server.openapi.requests import FILE_TYPES
from telefuser_grpc.server.openapi.schemas import TEMPLATE
from telefuser_grpc.server.openapi.task_bodies import (
    FILM,
    CancelOutcome,
    CreatedTask,
    QueueStatus,
    TaskPage,
    TaskStatus,
)

TASKS, FILES = "Tasks", "Files"
MULTIPART, URLENCODED = "multipart/form-data", "application/x-www-form-urlencoded"
MEDIA_TYPES = (
    "video/mp4",
    "video/webm",
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "application/octet-stream",
)
BINARY = {"type": "string", "format": "binary"}
FILE_HEADERS = ("ETag", "Cache-Control", "Content-Disposition", "Accept-Ranges")
FILE = {each: Content(schema=BINARY) for each in MEDIA_TYPES}
TASK_ID = {"task_id": Parameter(description="The task.", example=FILM)}

CREATED = {
    "task_id": FILM,
    "task_status": "pending",
    "output_path": f"{FILM}.mp4",
    "peak_memory_mb": None,
    "inference_time_s": None,
}
COMPLETED = {
    "task_id": FILM,
    "status": "completed",
    "start_time": "2026-11-22T08:30:00",
    "end_time": "2026-11-22T08:35:00",
    "error": None,
    "output_path": f"{FILM}.mp4",
    "peak_memory_mb": 18234.5,
    "inference_time_s": 299.5,
    "task": "t2v",
    "prompt": "a red ball on grass",
    "media_type": "video",
    "created_at": "2026-11-22T08:29:58Z",
    "started_at": "2026-11-22T08:30:00Z",
    "finished_at": "2026-11-22T08:35:00Z",
    "attempt": 1,
    "progress": {"step": 50, "steps": 50, "stage": "denoising"},
    "last_sequence": 53,
}
RUNNING = COMPLETED | {
    "status": "processing",
    "end_time": None,
    "peak_memory_mb": None,
    "inference_time_s": None,
    "finished_at": None,
    "progress": {"step": 12, "steps": 50, "stage": "denoising"},
    "last_sequence": 14,
}
FAILED = COMPLETED | {
    "status": "failed",
    "error": "Task processing timeout",
    "inference_time_s": None,
}
STEP = {
    "id": "3",
    "event": "progress",
    "data": f'{{"task_id":"{FILM}","sequence":3,"time":"2026-11-22T08:30:01.125Z","attempt":1,'
    '"step":1,"steps":50,"stage":"denoising","remaining_seconds":null}',
}


def _link(operation_id: str) -> dict[str, Any]:
    return {"operationId": operation_id, "parameters": {"task_id": "$response.body#/task_id"}}


def _creation(
    summary: str, description: str, request: dict[str, Content], *errors: str
) -> Operation:
    return Operation(
        tag=TASKS,
        summary=summary,
        description=description,
        headers=("Idempotency-Key",),
        request=request,
        answers={
            200: json_answer(
                "The task is safe on disk and will be finished.",
                CreatedTask,
                {"created": CREATED},
                links={
                    "status": _link("getTaskStatus"),
                    "events": _link("streamTaskEvents"),
                    "cancel": _link("cancelTask"),
                },
            )
        },
        errors=(
            "Refused",
            "RequestTimeout",
            "Conflict",
            "TooLarge",
            "InvalidFields",
            "RateLimited",
            "StorageFull",
            *errors,
        ),
    )


def _download(summary: str, description: str) -> Operation:
    return Operation(
        tag=FILES,
        summary=summary,
        description=description,
        parameters={
            "file_path": Parameter(
                description="The file: its id (`local:tasks/...`), its path, or the `output_path` "
                "of its task. Slashes need no escape.",
                example=f"{FILM}.mp4",
            )
        },
        headers=("Range", "If-Range", "If-None-Match"),
        answers={
            200: Answer(description="The whole file.", content=FILE, headers=FILE_HEADERS),
            206: Answer(
                description="The part that was asked for.",
                content=FILE,
                headers=(*FILE_HEADERS, "Content-Range"),
            ),
            304: Answer(description="The file is the one you have.", headers=("ETag",)),
        },
        errors=("AccessDenied", "FileNotFound", "RangeNotSatisfiable", "RateLimited"),
    )


TASK_OPERATIONS = {
    "RestTaskService.CreateTask": _creation(
        "Create a task",
        "Admits a task and answers when it is safe on disk; from then on it will be finished, "
        "through any restart. The pipeline's contract (`GET /v1/service/metadata`) says which "
        "kinds of task there are, what they need and which parameters they take.",
        {
            JSON: Content(
                schema={"$ref": TEMPLATE.format(model="CreateTaskBody")},
                examples={
                    "text to video": {"task": "t2v", "prompt": "a red ball on grass", "seed": 42},
                    "image to video": {
                        "task": "i2v",
                        "prompt": "it rolls away",
                        "first_image_path": "https://example.com/ball.png",
                    },
                },
            )
        },
    ),
    "RestTaskService.CreateTaskFromForm": _creation(
        "Create a task from a form",
        "The same from a form, with its files. Without `task` the kind is inferred from the files.",
        {
            MULTIPART: Content(
                schema={"$ref": TEMPLATE.format(model="CreateTaskForm")},
                examples={"text to video": {"task": "t2v", "prompt": "a red ball on grass"}},
                encoding={name: {"contentType": each} for name, each in FILE_TYPES.items()},
            ),
            URLENCODED: Content(
                schema={"$ref": TEMPLATE.format(model="CreateTaskBody")},
                examples={"text to video": {"task": "t2v", "prompt": "a red ball on grass"}},
            ),
        },
        "UnsupportedMediaType",
    ),
    "RestTaskService.ListTasks": Operation(
        tag=TASKS,
        summary="List tasks",
        description="Returns tasks, the newest first, a page at a time.",
        parameters={
            "status": Parameter(
                description="Lists only tasks of these states.",
                schema={
                    "items": {
                        "type": "string",
                        "enum": ["pending", "processing", "completed", "failed", "cancelled"],
                    }
                },
                example=["completed"],
            ),
            "task": Parameter(description="Lists only these kinds of task.", example=["t2v"]),
            "page_size": Parameter(
                description="The most tasks of one page.",
                schema={"minimum": 0, "maximum": 1000, "default": 50},
                example=50,
            ),
            "page_token": Parameter(
                description="The `next_page_token` of the page before; empty for the first.",
                example="",
            ),
        },
        answers={
            200: json_answer(
                "A page of tasks.",
                TaskPage,
                {"last page": {"tasks": [COMPLETED], "next_page_token": None}},
            )
        },
        errors=("InvalidParameters", "RateLimited"),
    ),
    "RestTaskService.GetTaskStatus": Operation(
        tag=TASKS,
        summary="Get a task",
        description="Returns a task as it is now. To wait for its end, stream its events instead.",
        parameters=TASK_ID,
        answers={
            200: json_answer(
                "The task.",
                TaskStatus,
                {"running": RUNNING, "completed": COMPLETED, "failed": FAILED},
            )
        },
        errors=("TaskNotFound", "RateLimited"),
    ),
    "RestTaskService.CancelTask": Operation(
        tag=TASKS,
        summary="Cancel a task",
        description="A waiting task is cancelled at once; a running one stops at its next step. "
        "Answers 200 for an unknown task and for one that has ended too, and says so.",
        parameters=TASK_ID,
        answers={
            200: json_answer(
                "What was done.",
                CancelOutcome,
                {
                    "cancelled": {
                        "stop_status": "success",
                        "reason": "Task cancellation accepted.",
                    },
                    "ended": {
                        "stop_status": "do_nothing",
                        "reason": "Task already terminal: completed.",
                    },
                    "unknown": {"stop_status": "do_nothing", "reason": "Task not found."},
                },
            )
        },
        errors=("RateLimited",),
    ),
    "RestTaskService.GetQueueStatus": Operation(
        tag=TASKS,
        summary="Get the queue",
        description="Returns how much waits and runs.",
        answers={
            200: json_answer(
                "The queue.",
                QueueStatus,
                {
                    "busy": {
                        "is_processing": True,
                        "current_task": FILM,
                        "pending_count": 3,
                        "active_count": 1,
                        "queue_size": 10,
                        "queue_available": 6,
                    }
                },
            )
        },
        errors=("RateLimited",),
    ),
    "RestTaskService.StreamTaskEvents": Operation(
        tag=TASKS,
        summary="Stream a task's events",
        description="Streams what happens to a task as server-sent events: first what has "
        "happened, then each event as it happens, and ends after the event that ends the task. "
        "`id` is the sequence, `event` the kind of event, and `data` a JSON object: "
        "`StateEvent`, `ProgressEvent` or `PreviewEvent`. A stream that was cut is resumed by "
        "the header `Last-Event-ID`, without a gap or a repetition.",
        parameters=TASK_ID
        | {
            "after_sequence": Parameter(
                description="Streams only events after this sequence.",
                schema={"default": 0},
                example=0,
            ),
            "previews": Parameter(
                description="Whether preview pictures come along, as base64.",
                schema={"default": False},
                example=False,
            ),
        },
        headers=("Last-Event-ID",),
        answers={
            200: Answer(
                description="The events.",
                content={
                    "text/event-stream": Content(
                        schema=EVENT_SCHEMA,
                        examples={"a step": STEP},
                    )
                },
            )
        },
        errors=("TaskNotFound", "InvalidParameters", "RateLimited"),
    ),
    "RestFileService.DownloadFile": _download(
        "Download a file",
        "Sends a file that a task has made, or one part of it. Understands conditions, so that "
        "a file that is known is not sent again. `HEAD` sends the headers alone.",
    ),
}
