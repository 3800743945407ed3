"""Values for tests, complete but for what the test is about."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from telefuser_grpc.domain.artifact import Artifact, MediaFacts
from telefuser_grpc.domain.job import RunReport
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import PipelineFailed, TaskCancelled

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
REPORT = RunReport(inference_seconds=1.5, peak_memory_mib=2048.0)

_numbers = count(1)


def make_task(task_id: str = "", **changes: Any) -> Task:
    """Returns a PENDING t2v task; without an id it gets one that no other task has."""
    values: dict[str, Any] = {
        "id": task_id or f"task_{next(_numbers):026d}",
        "kind": "t2v",
        "created_at": NOW,
        "fields": {"prompt": "a red ball", "num_inference_steps": 4},
    }
    values["output_name"] = f"{values['id']}.mp4"
    return Task(**(values | changes))


def make_artifact(task_id: str = "task_1", name: str = "", **changes: Any) -> Artifact:
    """Returns a small video of a task, named after the task unless told otherwise."""
    values: dict[str, Any] = {
        "task_id": task_id,
        "path": f"tasks/{task_id}/outputs/videos/{name or f'{task_id}.mp4'}",
        "size_bytes": 4096,
        "sha256": "ab" * 32,
        "created_at": NOW,
        "facts": MediaFacts(
            content_type="video/mp4", width=64, height=64, frame_count=8, duration_seconds=0.5
        ),
    }
    return Artifact(**(values | changes))


def started(task: Task, *, replica: int = 0) -> Task:
    """Returns a PENDING task as begun."""
    return task.start(replica, NOW + timedelta(seconds=1))


def ended(task: Task, state: TaskState = TaskState.COMPLETED) -> Task:
    """Returns a PROCESSING task as ended in a state."""
    now = NOW + timedelta(seconds=2)
    match state:
        case TaskState.COMPLETED:
            return task.complete((make_artifact(task.id),), REPORT, now)
        case TaskState.FAILED:
            return task.fail(PipelineFailed("the pipeline raised ValueError"), now)
        case TaskState.CANCELLED:
            return task.cancelling().cancel(TaskCancelled(), now)
        case _:
            raise ValueError(f"{state} is no end")
