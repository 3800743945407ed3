"""The bodies of the OpenAI videos."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from telefuser_grpc.server.openai.video_bodies import MAX_PROMPT_LENGTH, MAX_SECONDS, MAX_SEED
from telefuser_grpc.server.openapi.schemas import Described

VIDEO_ID = "task_01jd3r5x7m9p2q4s6t8v0w1y3z"
REFERENCE = (
    "A picture or a video to begin with: its `http(s)` address, a `data:` URL, or a path below one "
    'of the server\'s media roots; or `{"image_url": "<address or data URL>"}`, or '
    '`{"file_id": "<upload>"}`. What ends or says that it is a video is continued.'
)
SOURCE = (
    'The video to start from: `{"id": "<video>"}` or the id alone for one that was made here, an '
    "`http(s)` address, or a `data:` URL."
)
FIELDS: dict[str, dict[str, Any]] = {
    "prompt": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_PROMPT_LENGTH,
        "description": "What to show, in words.",
    },
    "model": {
        "type": ["string", "null"],
        "description": "Kept and told; the pipeline that is loaded makes the video.",
    },
    "seconds": {
        "type": ["integer", "string", "null"],
        "minimum": 1,
        "maximum": MAX_SECONDS,
        "description": "The length in seconds, a number or its text. Without it 4, or what the "
        "pipeline declares.",
    },
    "size": {
        "type": ["string", "null"],
        "description": "`<width>x<height>`, or `480p`, `720p`, `1080p`, `2160p` or `4k`. Without "
        "it 1024x576, or what the pipeline declares.",
    },
    "seed": {
        "type": ["integer", "string", "null"],
        "minimum": 0,
        "maximum": MAX_SEED,
        "description": "Makes the result repeatable. Without it 1024, or what the pipeline "
        "declares.",
    },
    "negative_prompt": {
        "type": ["string", "null"],
        "description": "What not to show, in words.",
    },
    "output_path": {
        "type": ["string", "null"],
        "description": "The name that the file shall have: relative, with an extension of a video.",
    },
    "input_reference": {"type": ["string", "object", "null"], "description": REFERENCE},
    "reference_url": {
        "type": ["string", "null"],
        "description": "The same by its address or data URL alone.",
    },
    "video": {"type": ["string", "object"], "description": SOURCE},
}
OTHERS = (
    "Other fields reach the pipeline where its contract declares them, and are ignored else. Null "
    "and the empty text stand for not given."
)


def body_schema(names: Iterable[str], *, required: Iterable[str] = ("prompt",)) -> dict[str, Any]:
    """Returns the schema of a JSON body with some of the fields."""
    return {
        "type": "object",
        "description": f"What to make. {OTHERS}",
        "properties": {name: FIELDS[name] for name in names},
        "required": list(required),
        "additionalProperties": True,
    }


def form_schema(
    names: Iterable[str], *, file: str, required: Iterable[str] = ("prompt",)
) -> dict[str, Any]:
    """Returns the schema of a form; one field is a file."""
    schema = body_schema(names, required=required)
    about = FIELDS[file]["description"]
    binary = {
        "type": "string",
        "format": "binary",
        "description": f"A file. Or a text: {about} In a form an object is written as "
        f"`{file}[<key>]`.",
    }
    return schema | {"properties": {**schema["properties"], file: binary}}


class VideoError(Described):
    """Why a video has failed."""

    code: str = Field(
        description="The kind of fault; `cancelled` for a video that somebody has cancelled.",
        examples=["pipeline_failed"],
    )
    message: str = Field(description="A sentence.", examples=["the pipeline raised ValueError"])


class VideoObject(Described):
    """A video as it is now: the official fields, and the documented ones beside them."""

    id: str = Field(description="Names the video, and its task.", examples=[VIDEO_ID])
    object: Literal["video"] = Field(description="What this is.")
    model: str = Field(description="The model that was named.", examples=["wan-video"])
    status: Literal["queued", "in_progress", "completed", "failed"] = Field(
        description="Where it is; a cancelled video has `failed`."
    )
    progress: int = Field(
        description="Percent: 0 while it waits, 100 when it is completed, 1 to 99 between.",
        ge=0,
        le=100,
    )
    created_at: int = Field(description="When it was admitted, in Unix seconds.")
    completed_at: int | None = Field(description="When it was completed; null before.")
    expires_at: int | None = Field(
        description="From when on it may be removed; null before its end, and without a limit."
    )
    prompt: Any = Field(description="What was to be shown.", examples=["a red ball on grass"])
    remixed_from_video_id: str | None = Field(description="The video that it was made from.")
    seconds: str = Field(
        description="The length asked for; once it is made, that of the whole of a video which "
        "continues another.",
        examples=["4"],
    )
    size: str = Field(
        description="The size asked for, and once it is made the one that it has.",
        examples=["1280x720"],
    )
    error: VideoError | None = Field(description="Why it has failed; null unless it has.")
    url: str | None = Field(description="Where its file is; null until it is completed.")
    quality: str = Field(description="Always `standard`.", examples=["standard"])
    artifact_id: str | None = Field(description="The file's name on the other paths.")
    artifact_metadata: dict[str, Any] | None = Field(description="What is known of the file.")
    peak_memory_mb: float | None = Field(description="The most device memory of the run, in MiB.")
    inference_time_s: float | None = Field(description="How long the pipeline ran, in seconds.")
    telefuser_status: Literal["pending", "processing", "completed", "failed", "cancelled"] = Field(
        description="The status in the words of the other paths."
    )


class VideoPage(Described):
    """A page of videos."""

    object: Literal["list"] = Field(description="What this is.")
    data: list[VideoObject] = Field(description="The videos.")
    first_id: str | None = Field(description="The first of them.")
    last_id: str | None = Field(description="The last of them: `after` of the next page.")
    has_more: bool = Field(description="Whether there is a next page.")


class DeletedVideo(Described):
    """A video that is gone."""

    id: str = Field(description="The video.", examples=[VIDEO_ID])
    object: Literal["video.deleted"] = Field(description="What this is.")
    deleted: Literal[True] = Field(description="It is.")
    status: Literal["cancelled", "deleted"] = Field(
        description="`cancelled` for one that was not made yet."
    )
