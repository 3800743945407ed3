"""The operations of the Image-to-Video API."""

from typing import Any

from telefuser_grpc.server.image_to_video.bodies import GenerateBody
from telefuser_grpc.server.openapi.generation_bodies import (
    GENERATION,
    VIDEO_FILE,
    GeneratedVideo,
    GenerationHealth,
    GenerationRefusal,
)
from telefuser_grpc.server.openapi.headers import RATE_HEADERS
from telefuser_grpc.server.openapi.operation import (
    JSON,
    Answer,
    Content,
    Operation,
    Parameter,
    json_answer,
)
from telefuser_grpc.server.openapi.schemas import inline
from telefuser_grpc.server.openapi.task_operations import BINARY, FILE_HEADERS

TAG = "Image to video"
VIDEO = {"video/mp4": Content(schema=BINARY), "image/gif": Content(schema=BINARY)}
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGM4oaGBFTEMLQkArFhAAa3sNgsAAAAA"
    "SUVORK5CYII="
)
PARAMETERS = {
    "resolution": "512p",
    "num_frames": 16,
    "fps": 8,
    "steps": 50,
    "guidance_scale": 9.0,
}
REQUEST = {
    "image_base64": PIXEL,
    "prompt": "A person walking forward naturally",
    **PARAMETERS,
    "output_format": "mp4",
}
VIDEO_MADE = {
    "task_id": GENERATION,
    "status": "success",
    "video_base64": "AAAAHGZ0eXBtcDQyAAAAAG1wNDJtcDQy",
    "download_url": f"/outputs/{VIDEO_FILE}",
    "inference_time_s": 53.2,
    "parameters": PARAMETERS,
}


def _refusal(
    description: str,
    code: str,
    error: str,
    *,
    task_id: str | None = GENERATION,
    headers: tuple[str, ...] = (),
    **others: Any,
) -> Answer:
    body = {"task_id": task_id, "status": "failed", "error": error, "code": code, **others}
    return json_answer(description, GenerationRefusal, {code: body}, headers=headers)


def _fault(field: str, kind: str, message: str) -> dict[str, Any]:
    return {"type": kind, "loc": ["body", field], "msg": message}


def _without_generation(description: str, code: str, error: str) -> Answer:
    return _refusal(description, code, error, task_id=None)


LOST = {
    401: _without_generation(
        "No key, or not a known one.", "UNAUTHENTICATED", "The API key is not valid"
    ),
    403: _without_generation("Nobody may read that.", "PERMISSION_DENIED", "Access is not allowed"),
    404: _without_generation("No such video.", "NOT_FOUND", "File not found"),
    416: _refusal(
        "The range begins beyond the end of the video.",
        "OUT_OF_RANGE",
        "offset is beyond the end of the file (18234 bytes)",
        task_id=None,
        headers=("Content-Range",),
    ),
    429: _refusal(
        "Too many requests from this address.",
        "RATE_LIMITED",
        "Too many requests",
        task_id=None,
        headers=("Retry-After", *RATE_HEADERS),
    ),
    503: _without_generation(
        "The server is down.", "UNAVAILABLE", "Service temporarily unavailable"
    ),
}
REFUSED = {
    400: _refusal(
        "The image cannot be used, or the pipeline makes no video of an image.",
        "INVALID_ARGUMENT",
        "image_base64: is of type video/mp4; send an image",
        detail=[_fault("image_base64", "input_rejected", "is of type video/mp4; send an image")],
    ),
    401: LOST[401],
    408: _without_generation(
        "The body stopped coming.", "DEADLINE_EXCEEDED", "The request body did not arrive in time"
    ),
    409: _refusal("Somebody cancelled the task.", "CANCELLED", "Task cancelled by user"),
    413: _without_generation(
        "The body is larger than allowed.", "INVALID_ARGUMENT", "The request body is too large"
    ),
    422: _refusal(
        "Fields are wrong, or the body is no JSON object.",
        "INVALID_ARGUMENT",
        "steps: Input should be less than or equal to 100",
        detail=[_fault("steps", "less_than_equal", "Input should be less than or equal to 100")],
    ),
    429: _refusal(
        "More than ten requests within a minute (`RATE_LIMITED`), or no room for the run now, in "
        "memory or in the queue.",
        "RESOURCE_EXHAUSTED",
        "Not enough GPU memory: about 17.8 GB are needed. Please reduce resolution or frame count, "
        "or try again later.",
        headers=("Retry-After", *RATE_HEADERS),
    ),
    500: _refusal(
        "The run failed.",
        "RESOURCE_EXHAUSTED",
        "CUDA out of memory. Please reduce resolution or frame count.",
    ),
    503: _refusal(
        "The model is not loaded, or the server is stopping.",
        "MODEL_NOT_READY",
        "No service is initialized: the pipeline is still being loaded",
        headers=("Retry-After",),
    ),
    504: _refusal("The run took too long.", "DEADLINE_EXCEEDED", "Task processing timeout"),
    507: _refusal(
        "The server's disk is full.",
        "RESOURCE_EXHAUSTED",
        "The server's disk is full or refuses writes; try again later",
        headers=("Retry-After",),
    ),
}

GENERATION_OPERATIONS = {
    "GenerationService.GetHealth": Operation(
        tag=TAG,
        operation_id="getGenerationHealth",
        summary="Get the health",
        description="Tells whether the model is loaded and how much memory is taken. Answers 200 "
        "while the service lives.",
        answers={
            200: json_answer(
                "It lives.",
                GenerationHealth,
                {
                    "loaded": {
                        "status": "healthy",
                        "model_loaded": True,
                        "gpu_memory_used_gb": 13.2,
                        "timestamp": "2025-04-05T10:00:00Z",
                    }
                },
            )
        },
        errors=(),
    ),
    "GenerationService.Generate": Operation(
        tag=TAG,
        summary="Generate a video",
        description="Makes a video of a picture, and answers with it when it is there; a caller "
        "who leaves ends the run. What the device has no room for is refused at once with 429. An "
        "address may ask ten times a minute. The picture is scaled and cut to a square of the "
        "resolution.",
        request={
            JSON: Content(
                schema=inline(GenerateBody),
                examples={
                    "all fields": REQUEST,
                    "preset": {"image_base64": PIXEL, "prompt": "it turns", "preset": "fast"},
                },
            )
        },
        answers={200: json_answer("The video.", GeneratedVideo, {"video": VIDEO_MADE}), **REFUSED},
        errors=(),
    ),
    "GenerationService.GetOutput": Operation(
        tag=TAG,
        summary="Get a generated video",
        description="Sends a video that was made. `HEAD` sends the headers alone.",
        parameters={
            "file": Parameter(
                description="The name of the file, from `download_url`.", example=VIDEO_FILE
            ),
        },
        headers=("Range", "If-Range", "If-None-Match"),
        answers={
            200: Answer(description="The whole video.", content=VIDEO, headers=FILE_HEADERS),
            206: Answer(
                description="The part that was asked for.",
                content=VIDEO,
                headers=(*FILE_HEADERS, "Content-Range"),
            ),
            304: Answer(description="The video is the one you have.", headers=("ETag",)),
            **LOST,
        },
        errors=(),
    ),
}
