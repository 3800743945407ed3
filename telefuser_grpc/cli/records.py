"""Values as JSON objects under the names of the native API, for programs."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import Progress, StateChange, Task, TaskError, TaskEvent

if TYPE_CHECKING:  # the client weighs more than most commands need
    from telefuser_grpc.client.values import Queue


def task_json(task: Task) -> dict[str, Any]:
    """Returns a task under the names of the native API."""
    return {
        "task_id": task.id,
        "kind": task.kind,
        "state": task.state,
        "attempt": task.attempt,
        "parameters": dict(task.fields),
        "inputs": dict(task.inputs),
        "progress": _progress_json(task.progress),
        "artifacts": [_artifact_json(each) for each in task.artifacts],
        "error": _error_json(task.error),
        "last_sequence": task.sequence,
        "create_time": task.created_at.isoformat(),
        "start_time": _time(task.started_at),
        "finish_time": _time(task.finished_at),
        "inference_seconds": task.inference_seconds,
        "peak_memory_mib": task.peak_memory_mib,
    }


def event_json(event: TaskEvent) -> dict[str, Any]:
    """Returns an event under the names of the native API."""
    common: dict[str, Any] = {
        "task_id": event.task_id,
        "sequence": event.sequence,
        "event_time": event.time.isoformat(),
        "attempt": event.attempt,
    }
    match event.change:
        case StateChange(state=state, error=error, artifacts=artifacts):
            made = [_artifact_json(each) for each in artifacts]
            change = {"state": state, "error": _error_json(error), "artifacts": made}
            return {**common, "state_change": change}
        case Progress() as progress:
            return {**common, "progress": _progress_json(progress)}
        case preview:
            return {**common, "preview": {"step": preview.step}}


def queue_json(queue: "Queue") -> dict[str, Any]:
    """Returns the queue under the names of the native API."""
    waiting = [
        {
            "task_id": each.task_id,
            "position": each.position,
            "expected_start_time": _time(each.expected_start_at),
        }
        for each in queue.waiting
    ]
    return {
        "waiting": waiting,
        "running": list(queue.running),
        "limit": queue.limit,
        "ended_count": queue.ended_count,
    }


def _progress_json(progress: Progress | None) -> dict[str, Any] | None:
    if progress is None:
        return None
    return {
        "step": progress.step,
        "steps": progress.steps,
        "stage": progress.stage,
        "remaining_seconds": progress.remaining_seconds,
    }


def _artifact_json(artifact: Artifact) -> dict[str, Any]:
    return {
        "artifact_id": artifact.id,
        "filename": artifact.filename,
        "content_type": artifact.facts.content_type,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "width": artifact.facts.width,
        "height": artifact.facts.height,
        "frame_count": artifact.facts.frame_count,
        "duration_seconds": artifact.facts.duration_seconds,
    }


def _error_json(error: TaskError | None) -> dict[str, str] | None:
    return {"reason": error.reason, "message": error.message} if error else None


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
