"""The bodies of answers about tasks."""

from typing import Any, Literal

from pydantic import Field

from telefuser_grpc.server.openapi.schemas import Described

TaskWord = Literal["pending", "processing", "completed", "failed", "cancelled"]
StateWord = Literal["pending", "processing", "cancelling", "completed", "failed", "cancelled"]
FILM = "task_01jd3r5x7m9p2q4s6t8v0w1y3z"


class CreatedTask(Described):
    """A task that was admitted; from now on it will be finished."""

    task_id: str = Field(description="Names the task.", examples=[FILM])
    task_status: TaskWord = Field(description="Where the task is.", examples=["pending"])
    output_path: str = Field(
        description="The name of the file that it makes; empty when it makes none.",
        examples=[f"{FILM}.mp4"],
    )
    peak_memory_mb: float | None = Field(
        description="Null; known when a repeated request answers with a task that has run."
    )
    inference_time_s: float | None = Field(description="The same, in seconds.")


class TaskProgress(Described):
    """How far a task has come."""

    step: int = Field(description="Steps done.", ge=0, examples=[12])
    steps: int = Field(description="Steps in all; 0 where nobody can say.", ge=0, examples=[50])
    stage: str = Field(description="What is done.", examples=["denoising"])


class TaskStatus(Described):
    """A task as it is now."""

    task_id: str = Field(description="Names the task.", examples=[FILM])
    status: TaskWord = Field(
        description="Where the task is; one that is being stopped still counts as processing."
    )
    start_time: str = Field(
        description="When the task was started, or was created while it waits: UTC, no suffix.",
        examples=["2026-11-22T08:30:00"],
    )
    end_time: str | None = Field(
        description="When the task ended: UTC, no suffix; null before.",
        examples=["2026-11-22T08:35:00"],
    )
    error: str | None = Field(description="Why the task ended without a result; else null.")
    output_path: str = Field(
        description="The name of the file, for `/v1/files/download/`; empty when it makes none.",
        examples=[f"{FILM}.mp4"],
    )
    peak_memory_mb: float | None = Field(
        description="The most device memory that the run used, in MiB; null where not known."
    )
    inference_time_s: float | None = Field(
        description="How long the pipeline ran, in seconds; null until it has run."
    )
    task: str = Field(description="The kind of task.", examples=["t2v"])
    prompt: Any = Field("", description="What was to be shown.", examples=["a red ball"])
    negative_prompt: Any = Field("", description="What was not to be shown.")
    resolution: Any = Field("", description="The resolution asked for.", examples=["720p"])
    target_video_length: Any = Field(0, description="The seconds asked for.", examples=[5])
    aspect_ratio: Any = Field("", description="The aspect ratio asked for.", examples=["16:9"])
    output_format: Any = Field("", description="The format asked for.", examples=["png"])
    model: Any = Field("", description="The model asked for.")
    first_image_path: str = Field("", description="A handle of the first image.")
    last_image_path: str = Field("", description="A handle of the last image.")
    ref_video_path: str = Field("", description="A handle of the reference video.")
    audio_path: str = Field("", description="A handle of the sound.")
    media_type: Literal["video", "image", "none"] = Field(description="What the task makes.")
    created_at: str = Field(
        description="When the task was admitted, RFC 3339.", examples=["2026-11-22T08:29:58Z"]
    )
    started_at: str | None = Field(
        description="When the current attempt began, RFC 3339; null before.",
        examples=["2026-11-22T08:30:00Z"],
    )
    finished_at: str | None = Field(
        description="When the task ended, RFC 3339; null before.",
        examples=["2026-11-22T08:35:00Z"],
    )
    attempt: int = Field(description="How often the task was started.", ge=0, examples=[1])
    progress: TaskProgress | None = Field(description="Null before the first step.")
    last_sequence: int = Field(description="The sequence of the latest event.", ge=1, examples=[53])


class TaskPage(Described):
    """A page of tasks, the newest first."""

    tasks: list[TaskStatus] = Field(description="The tasks.")
    next_page_token: str | None = Field(
        description="Asks for the next page; null on the last.", examples=[None]
    )


class CancelOutcome(Described):
    """What a cancel has done."""

    stop_status: Literal["success", "do_nothing", "error"] = Field(
        description="`success`: the task is being stopped. `do_nothing`: there was nothing to stop."
    )
    reason: str = Field(
        description="The same in a sentence.", examples=["Task cancellation accepted."]
    )


class QueueStatus(Described):
    """How much waits and runs."""

    is_processing: bool = Field(description="Whether a task runs.")
    current_task: str | None = Field(description="The task that has run longest.", examples=[FILM])
    pending_count: int = Field(description="Tasks that wait.", ge=0, examples=[3])
    active_count: int = Field(description="Tasks that run.", ge=0, examples=[1])
    queue_size: int = Field(
        description="The most tasks that may wait and run together.", ge=1, examples=[10]
    )
    queue_available: int = Field(description="How many more would be admitted.", ge=0, examples=[6])
