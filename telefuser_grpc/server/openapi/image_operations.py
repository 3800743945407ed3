"""The operations of the OpenAI images."""

from typing import Any

from telefuser_grpc.server.openapi.image_bodies import (
    LINK,
    PIXEL,
    Images,
    edit_object_schema,
    edit_schema,
    generation_schema,
    variation_schema,
)
from telefuser_grpc.server.openapi.openai_errors import ANY_CALL, CREATION, openai_error
from telefuser_grpc.server.openapi.operation import (
    JSON,
    Answer,
    Content,
    Operation,
    Parameter,
    json_answer,
)
from telefuser_grpc.server.openapi.task_bodies import FILM
from telefuser_grpc.server.openapi.task_operations import BINARY, FILE_HEADERS, MULTIPART

PIXEL_URL = f"data:image/png;base64,{PIXEL}"
TAG = "OpenAI images"
STREAM = "text/event-stream"
KINDS = ("image/png", "image/jpeg", "image/webp", "image/gif")
FILE = {each: Content(schema=BINARY) for each in KINDS}
NO_TOKENS = {"text_tokens": 0, "image_tokens": 0}
USAGE = {
    "input_tokens": 0,
    "output_tokens": 0,
    "total_tokens": 0,
    "input_tokens_details": NO_TOKENS,
    "output_tokens_details": NO_TOKENS,
}
ITEM = {
    "url": LINK,
    "b64_json": None,
    "revised_prompt": "a cat",
    "artifact_id": f"local:tasks/{FILM}/outputs/images/{FILM}.png",
    "artifact_metadata": {"filename": f"{FILM}.png", "size_bytes": 18234},
}
MADE = {
    "created": 1763799298,
    "data": [ITEM],
    "background": "opaque",
    "output_format": "png",
    "quality": "auto",
    "size": "1024x1024",
    "usage": USAGE,
    "peak_memory_mb": 4096.5,
    "inference_time_s": 2.5,
}
INLINE = MADE | {"data": [ITEM | {"url": None, "b64_json": PIXEL}]}
PREVIEW = (
    '{"type":"image_generation.partial_image","b64_json":"' + PIXEL + '","partial_image_index":0,'
    '"created_at":1763799297,"size":"1024x1024","quality":"auto","background":"auto",'
    '"output_format":"png"}'
)
EVENT: dict[str, Any] = {  # as OpenAPI 3.2 reads a stream: of one event
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {
            "type": "string",
            "enum": [
                *("image_generation.partial_image", "image_generation.completed"),
                *("image_edit.partial_image", "image_edit.completed"),
                "error",
            ],
            "description": "What happened; the same as `type` in the data.",
        },
        "data": {
            "type": "string",
            "contentMediaType": JSON,
            "description": "A preview with `b64_json` and `partial_image_index`, an image with "
            "`b64_json` and `usage`, or an `error`.",
        },
    },
}


NO_KIND = {status: answer for status, answer in CREATION.items() if status != 415}
"""What a path ends with that reads any body as JSON."""


def _creation(summary: str, description: str, request: dict[str, Content]) -> Operation:
    images = json_answer("The images.", Images, {"links": MADE, "base64": INLINE})
    event = {"event": "image_generation.partial_image", "data": PREVIEW}
    stream = Content(schema=EVENT, examples={"preview": event})
    return Operation(
        tag=TAG,
        summary=summary,
        description=f"{description} The call waits for its images, as long as a run may take "
        "(`TELEFUSER_TASK_TIMEOUT`) and at least 600 s; a caller who goes away ends them. "
        "The headers of an official SDK that sends a request again lead it to the images that are "
        "being made already.",
        headers=("Idempotency-Key",),
        request=request,
        answers={
            200: Answer(
                description="The images, or with `stream` their events.",
                content={**images.content, STREAM: stream},
            ),
            **(CREATION if MULTIPART in request else NO_KIND),
            500: openai_error(
                "The run failed.",
                "Generation failed: Out of memory",
                "out_of_memory",
                type="server_error",
            ),
            504: openai_error(
                "The images were not made in time, and are not any more.",
                "Generation timeout after 3600 seconds",
                "timeout",
                type="server_error",
            ),
        },
        errors=(),
    )


IMAGE_OPERATIONS = {
    "ImageService.CreateImage": _creation(
        "Create images",
        "Makes images from a prompt. With `stream` previews of the denoising and the results come "
        "as server-sent events.",
        {
            JSON: Content(
                schema=generation_schema(),
                examples={
                    "one image": {"prompt": "a cat", "size": "1024x1024"},
                    "several": {"prompt": "a cat", "n": 3, "seed": 7, "response_format": "url"},
                    "stream": {"prompt": "a cat", "stream": True, "partial_images": 2},
                },
            )
        },
    ),
    "ImageService.CreateImageEdit": _creation(
        "Edit images",
        "Makes images from images and a prompt.",
        {
            MULTIPART: Content(schema=edit_schema(), examples={"edit": {"prompt": "in blue"}}),
            JSON: Content(
                schema=edit_object_schema(),
                examples={"edit": {"prompt": "in blue", "images": [{"image_url": PIXEL_URL}]}},
            ),
        },
    ),
    "ImageService.CreateImageVariation": _creation(
        "Vary an image",
        "Makes variations of an image.",
        {MULTIPART: Content(schema=variation_schema())},
    ),
    "ImageService.GetImageContent": Operation(
        tag=TAG,
        summary="Get an image",
        description="Sends an image that was made, or one part of it. `HEAD` sends the headers "
        "alone.",
        parameters={
            "image_id": Parameter(description="The task that made it.", example=FILM),
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
            **ANY_CALL,
            400: openai_error(
                "The image is not made yet, or never will be.",
                f"Image {FILM} is not ready (status: processing)",
                "image_not_ready",
            ),
            404: openai_error("No such image.", f"Image {FILM} not found", "not_found"),
            416: openai_error(
                "The range begins beyond the end of the file.",
                "offset is beyond the end of the file (18234 bytes)",
                "offset_out_of_range",
                headers=("Content-Range",),
            ),
        },
        errors=(),
    ),
}
