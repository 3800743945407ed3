"""The bodies of answers of the Wan2.1 image-to-video API."""

from typing import Literal

from pydantic import Field

from telefuser_grpc.server.openapi.errors import Fault
from telefuser_grpc.server.openapi.schemas import Described

REQUEST_ID = "0f8fad5bd9cb469fa16570867728950e"
VIDEO_NAME = "7c9e6679f7894a2fb8c3d1e5a6b70c42.mp4"


class WanSubmitted(Described):
    """A task that was admitted."""

    requestId: str = Field(
        description="Names the task: 32 hexadecimal digits.", examples=[REQUEST_ID]
    )


class WanVideo(Described):
    """A video that was made."""

    url: str = Field(
        description="Where it is, for an hour; who knows the address needs no key.",
        examples=[f"http://localhost:8088/videos/{VIDEO_NAME}"],
    )


class WanTimings(Described):
    """How long a task has taken."""

    inference: int = Field(description="Seconds from its start to its end.", ge=0, examples=[90])


class WanResults(Described):
    """What a task has made."""

    videos: list[WanVideo] = Field(description="One video.", min_length=1)
    timings: WanTimings = Field(description="How long it has taken.")
    seed: int = Field(description="The seed, given or chosen.", ge=0, examples=[123456])
    num_frames: int = Field(
        description="The frames of the video: what was asked for, as one more than a multiple of "
        "four.",
        ge=1,
        examples=[81],
    )
    image_size: str = Field(description="Width x height.", examples=["832x464"])


class WanStatus(Described):
    """A task as it is now."""

    status: Literal["InQueue", "InProgress", "Succeed", "Failed", "Cancelled"] = Field(
        description="Where the task is."
    )
    reason: str | None = Field(
        description="Why it has failed or was cancelled; else null.", examples=[None]
    )
    results: WanResults | None = Field(description="What it has made; null before.")
    queue_position: int | None = Field(
        description="Its place among all tasks that wait, from 1; else null.", examples=[None]
    )


class WanCancelled(Described):
    """The task is being stopped."""

    status: Literal["Succeed"] = Field(description="Always this word.")


class WanFailure(Described):
    """Why a request was refused."""

    status: Literal["Failed"] = Field(description="Always this word.")
    reason: str = Field(description="One sentence, in Chinese.", examples=["无效的任务ID"])


class WanRefusal(Described):
    """The refusal of a request; faults of fields are a list."""

    detail: WanFailure | list[Fault] | str = Field(
        description="Why; a plain sentence comes from the gateway."
    )
