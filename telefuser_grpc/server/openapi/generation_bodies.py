"""The bodies of answers of the Image-to-Video API."""

from typing import Literal

from pydantic import Field

from telefuser_grpc.server.openapi.errors import Fault
from telefuser_grpc.server.openapi.schemas import Described

GENERATION = "task_20250405_100001"
VIDEO_FILE = "video_20250405_100001.mp4"


class GenerationHealth(Described):
    """Whether the service lives."""

    status: Literal["healthy"] = Field(description="Always this word.")
    model_loaded: bool = Field(description="Whether a video could be made now.")
    gpu_memory_used_gb: float = Field(
        description="Memory that is taken on all GPUs, in gigabytes.", ge=0, examples=[13.2]
    )
    timestamp: str = Field(description="Now, RFC 3339.", examples=["2025-04-05T10:00:00Z"])


class GenerationParameters(Described):
    """What a video was made with."""

    resolution: Literal["256p", "512p", "768p"] = Field(description="Width and height.")
    num_frames: int = Field(description="Its frames.", ge=8, le=32, examples=[16])
    fps: int = Field(description="Frames per second.", ge=4, le=24, examples=[8])
    steps: int = Field(description="Steps of denoising.", ge=10, le=100, examples=[50])
    guidance_scale: float = Field(
        description="How closely it follows the prompt.", ge=1, le=20, examples=[9.0]
    )


class GeneratedVideo(Described):
    """A video, whole."""

    task_id: str = Field(description="Names the generation.", examples=[GENERATION])
    status: Literal["success"] = Field(description="Always this word.")
    video_base64: str = Field(description="The file in base64.", examples=["AAAAHGZ0eXBtcDQy"])
    download_url: str = Field(
        description="The path of the same file.", examples=[f"/outputs/{VIDEO_FILE}"]
    )
    inference_time_s: float = Field(
        description="How long the pipeline ran, in seconds.", ge=0, examples=[53.2]
    )
    parameters: GenerationParameters = Field(description="What it was made with.")


class GenerationRefusal(Described):
    """Why there is no video."""

    task_id: str | None = Field(
        description="Names the generation; null where none has begun.", examples=[GENERATION]
    )
    status: Literal["failed"] = Field(description="Always this word.")
    error: str = Field(
        description="One sentence.",
        examples=["CUDA out of memory. Please reduce resolution or frame count."],
    )
    code: Literal[
        "INVALID_ARGUMENT",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "NOT_FOUND",
        "OUT_OF_RANGE",
        "RATE_LIMITED",
        "RESOURCE_EXHAUSTED",
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "INTERNAL",
        "MODEL_NOT_READY",
        "UNAVAILABLE",
    ] = Field(description="The reason, for programs.")
    detail: list[Fault] = Field([], description="The fields that are wrong, where fields are.")
