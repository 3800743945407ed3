"""A task as the OpenAI API writes a video."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.domain.queue import Queue
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.server.openai.file_facts import artifact_metadata
from telefuser_grpc.server.openai.video_bodies import DEFAULT_SIZE, DEFAULTS
from telefuser_grpc.server.openai.video_size import NAMED

DEFAULT_MODEL = "wan-video"
CONTINUED = "vc"
STATUS_WORDS: Mapping[TaskState, str] = {
    TaskState.PENDING: "queued",
    TaskState.PROCESSING: "in_progress",
    TaskState.CANCELLING: "in_progress",
    TaskState.COMPLETED: "completed",
    TaskState.FAILED: "failed",
    TaskState.CANCELLED: "failed",  # the official words have none for it
}
MIN_POLL_MS, USUAL_POLL_MS, MAX_POLL_MS = 500, 1000, 10_000


def is_video(task: Task) -> bool:
    """Tells whether a task makes a video."""
    return task.media_type == MediaType.VIDEO


def native_status(task: Task) -> str:
    """Returns the documented word of the tasks' own paths."""
    return "processing" if task.state is TaskState.CANCELLING else str(task.state)


def video_object(task: Task, *, url: str, kept_seconds: float) -> dict[str, Any]:
    """Writes a video as the official SDKs read it, with the documented keys beside.

    Args:
        url: Where its content is once it is made.
        kept_seconds: How long it is kept after its end; 0 where that is not bounded.
    """
    artifact = task.artifacts[0] if task.artifacts else None
    is_made = task.state is TaskState.COMPLETED
    return {
        "id": task.id,
        "object": "video",
        "model": str(task.fields.get("model") or DEFAULT_MODEL),
        "status": STATUS_WORDS[task.state],
        "progress": _progress(task),
        "created_at": _unix(task.created_at),
        "completed_at": _unix(task.finished_at) if is_made else None,
        "expires_at": _expiry(task, kept_seconds) if is_made else None,
        "prompt": task.fields.get("prompt"),
        "remixed_from_video_id": task.fields.get("remixed_from_video_id"),
        "seconds": _seconds(task, artifact),
        "size": _size(task, artifact),
        "error": _error(task),
        "url": url if is_made else None,
        "quality": "standard",
        "artifact_id": artifact.id if artifact else None,
        "artifact_metadata": artifact_metadata(artifact) if artifact else None,
        "peak_memory_mb": task.peak_memory_mib,
        "inference_time_s": task.inference_seconds,
        "telefuser_status": native_status(task),
    }


def poll_after_ms(task: Task, queue: Queue, now: datetime) -> int | None:
    """Returns when it is worth while to ask again; None for a video that has ended."""
    if task.state.is_terminal:
        return None
    seconds = _queue_seconds(task, queue, now) if _waits(task) else _run_seconds(task, now)
    if seconds is None:
        return USUAL_POLL_MS
    return round(min(max(seconds * 1000, MIN_POLL_MS), MAX_POLL_MS))


def _waits(task: Task) -> bool:
    return task.state is TaskState.PENDING


def _queue_seconds(task: Task, queue: Queue, now: datetime) -> float | None:
    start = queue.expected_starts.get(task.id)
    return (start - now).total_seconds() if start else None


def _run_seconds(task: Task, now: datetime) -> float | None:
    progress = task.progress
    if progress is None or task.started_at is None:
        return None
    if progress.remaining_seconds is not None:
        return progress.remaining_seconds
    if not progress.step or progress.steps < progress.step:
        return None
    elapsed = (now - task.started_at).total_seconds()
    return elapsed * (progress.steps - progress.step) / progress.step


def _progress(task: Task) -> int:
    """A percentage that only the end makes 100, and only the queue 0."""
    if task.state is TaskState.COMPLETED:
        return 100
    progress = task.progress
    if _waits(task) or (progress is None and task.state.is_terminal):
        return 0
    if progress is None or not progress.steps:
        return 1
    return min(max(100 * progress.step // progress.steps, 1), 99)


def _seconds(task: Task, artifact: Artifact | None) -> str:
    """The length that was asked for; of a video that goes on from another, that of the whole."""
    whole = artifact.facts.duration_seconds if artifact and task.kind == CONTINUED else 0
    if whole:
        return str(max(1, round(whole)))
    return str(task.fields.get("target_video_length") or DEFAULTS["target_video_length"])


def _size(task: Task, artifact: Artifact | None) -> str:
    """The size that was asked for, and of a video that is made the one that it has."""
    fields = task.fields
    if artifact and artifact.facts.width:
        return f"{artifact.facts.width}x{artifact.facts.height}"
    if asked := fields.get("openai_video_size"):
        return str(asked)
    width, height = NAMED.get(str(fields.get("resolution")), (None, None))
    width, height = fields.get("width", width), fields.get("height", height)
    return f"{width}x{height}" if width and height else DEFAULT_SIZE.asked


def _error(task: Task) -> dict[str, str] | None:
    """Tells why a video has failed; what has interrupted one that goes on is no error."""
    if task.error is None or not task.state.is_terminal:
        return None
    return {"code": task.error.reason.lower(), "message": task.error.message}


def _unix(time: datetime | None) -> int | None:
    return int(time.timestamp()) if time else None


def _expiry(task: Task, kept_seconds: float) -> int | None:
    if not kept_seconds or task.finished_at is None:
        return None
    return _unix(task.finished_at + timedelta(seconds=kept_seconds))
