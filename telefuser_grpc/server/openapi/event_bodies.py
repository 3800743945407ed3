"""The `data` of server-sent events."""

from typing import Any, Literal

from pydantic import Field

from telefuser_grpc.server.openapi.schemas import Described, reference
from telefuser_grpc.server.openapi.task_bodies import FILM, StateWord


class EventHead(Described):
    """What every event has."""

    task_id: str = Field(description="The task.", examples=[FILM])
    sequence: int = Field(
        description="Counts the task's events from 1, without a gap.", ge=1, examples=[2]
    )
    time: str = Field(
        description="When it happened, RFC 3339.", examples=["2026-11-22T08:30:00.125Z"]
    )
    attempt: int = Field(description="The attempt that it belongs to.", ge=0, examples=[1])


class EventError(Described):
    """Why a task failed, was cancelled or waits again."""

    reason: str = Field(description="The reason, for programs.", examples=["CANCELLED"])
    message: str = Field(
        description="One sentence for people.", examples=["Task cancelled by user"]
    )


class EventArtifact(Described):
    """A file that the task has made."""

    artifact_id: str = Field(
        description="Names the file.", examples=[f"local:tasks/{FILM}/outputs/videos/{FILM}.mp4"]
    )
    filename: str = Field(description="The name to save it under.", examples=[f"{FILM}.mp4"])
    content_type: str = Field(description="Its media type.", examples=["video/mp4"])
    size_bytes: int = Field(description="Its size.", ge=0, examples=[18234])
    sha256: str = Field(
        description="The SHA-256 of its content, in hexadecimal.",
        examples=["5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"],
    )
    url: str = Field(
        description="Where to fetch it.",
        examples=[f"/v1/files/download/tasks/{FILM}/outputs/videos/{FILM}.mp4"],
    )


class StateEvent(EventHead):
    """`event: state`. The task has a new state."""

    status: StateWord = Field(description="The new state.")
    error: EventError | None = Field(description="Why, where there is a reason.")
    artifacts: list[EventArtifact] = Field(description="What was made, when completed.")


class ProgressEvent(EventHead):
    """`event: progress`. A step was done."""

    step: int = Field(description="Steps done.", ge=0, examples=[12])
    steps: int = Field(description="Steps in all; 0 where nobody can say.", ge=0, examples=[50])
    stage: str = Field(description="What is done.", examples=["denoising"])
    remaining_seconds: float | None = Field(
        description="Expected time to the end of the denoising; null while nobody can say.",
        examples=[17.5],
    )


class PreviewEvent(EventHead):
    """`event: preview`. A picture of what is being made; only with `previews=true`."""

    step: int = Field(description="The step after which it was taken.", ge=0, examples=[12])
    content_type: Literal["image/jpeg"] = Field(description="Its media type.")
    image: str = Field(description="The picture in base64.", examples=["/9j/4AAQSkZJRg=="])


EVENTS: dict[str, type[EventHead]] = {
    "state": StateEvent,
    "progress": ProgressEvent,
    "preview": PreviewEvent,
}
EVENT_SCHEMA: dict[str, Any] = {  # as OpenAPI 3.2 reads a stream: of one event
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "The event's sequence, for `Last-Event-ID`.",
        },
        "event": {
            "type": "string",
            "enum": list(EVENTS),
            "description": "What happened.",
        },
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"oneOf": [reference(model) for model in EVENTS.values()]},
            "description": "What there is to say about it.",
        },
    },
}
