"""The operations of the OpenAI videos."""

from typing import Any

from telefuser_grpc.server.openai.video_bodies import CreateVideoBody, SourceVideoBody, VideoBody
from telefuser_grpc.server.openapi.headers import RATE_HEADERS
from telefuser_grpc.server.openapi.openai_errors import ANY_CALL, CREATION, openai_error
from telefuser_grpc.server.openapi.operation import (
    JSON,
    Answer,
    Content,
    Operation,
    Parameter,
    json_answer,
)
from telefuser_grpc.server.openapi.video_bodies import (
    VIDEO_ID,
    DeletedVideo,
    VideoObject,
    VideoPage,
    body_schema,
    form_schema,
)

VIDEOS = "OpenAI videos"
MULTIPART = "multipart/form-data"
FILE_HEADERS = ("ETag", "Cache-Control", "Content-Disposition", "Accept-Ranges")
FILE_TYPES = ("video/mp4", "video/webm", "image/gif", "image/webp", "image/jpeg")
FILE = {each: Content(schema={"type": "string", "format": "binary"}) for each in FILE_TYPES}
PATH = {"video_id": Parameter(description="The video.", example=VIDEO_ID)}
ALWAYS = {
    **ANY_CALL,
    401: openai_error("No key, or not a known one.", "The API key is not valid", "invalid_api_key"),
    429: openai_error(
        "Too many requests from this address.",
        "Too many requests",
        "rate_limit_exceeded",
        type="rate_limit_error",
        headers=("Retry-After", *RATE_HEADERS),
    ),
}
NOT_FOUND = {404: openai_error("No such video.", f"Video {VIDEO_ID} not found", "not_found")}
INVALID = {
    422: openai_error(
        "A field is missing or wrong, or the body cannot be read.",
        "seconds: Input should be less than or equal to 60",
        "invalid_value",
        param="seconds",
    )
}
ADMISSION = {
    **CREATION,
    **ALWAYS,
    **INVALID,
    400: openai_error(
        "The pipeline cannot do it, or a file cannot be used.",
        "This pipeline cannot extend videos: that takes a task of the kind vc",
        "unsupported",
    ),
    415: openai_error(
        "The body is neither JSON nor a form.",
        "Content-Type is 'text/plain'; send multipart/form-data or "
        "application/x-www-form-urlencoded",
        "invalid_fields",
    ),
}
NOT_READY = openai_error(
    "The video is not made yet, or there is no such variant.",
    f"Video {VIDEO_ID} is not ready (status: processing)",
    "video_not_ready",
)
REPEATED = (
    " A request that an official SDK sends again (`x-stainless-retry-count`), or that comes again "
    "with the same `Idempotency-Key`, is answered with the first video."
)

QUEUED = {
    "id": VIDEO_ID,
    "object": "video",
    "model": "wan-video",
    "status": "queued",
    "progress": 0,
    "created_at": 1795336198,
    "completed_at": None,
    "expires_at": None,
    "prompt": "a red ball on grass",
    "remixed_from_video_id": None,
    "seconds": "4",
    "size": "1280x720",
    "error": None,
    "url": None,
    "quality": "standard",
    "artifact_id": None,
    "artifact_metadata": None,
    "peak_memory_mb": None,
    "inference_time_s": None,
    "telefuser_status": "pending",
}
RUNNING = QUEUED | {"status": "in_progress", "progress": 24, "telefuser_status": "processing"}
COMPLETED = QUEUED | {
    "status": "completed",
    "progress": 100,
    "completed_at": 1795336500,
    "expires_at": 1795941300,
    "url": f"http://localhost:8000/v1/videos/{VIDEO_ID}/content",
    "artifact_id": f"local:tasks/{VIDEO_ID}/outputs/videos/{VIDEO_ID}.mp4",
    "artifact_metadata": {"filename": f"{VIDEO_ID}.mp4", "size_bytes": 18234},
    "inference_time_s": 299.5,
    "telefuser_status": "completed",
}
CANCELLED = QUEUED | {
    "status": "failed",
    "error": {"code": "cancelled", "message": "Task cancelled by user"},
    "telefuser_status": "cancelled",
}
REMIXED = QUEUED | {"remixed_from_video_id": VIDEO_ID}


def _creation(summary: str, description: str, **others: Any) -> Operation:
    example = REMIXED if "parameters" in others else QUEUED
    answer = json_answer(
        "The video.", VideoObject, {"created": example}, headers=("OpenAI-Poll-After-Ms",)
    )
    return Operation(
        tag=VIDEOS,
        summary=summary,
        description=description + REPEATED,
        headers=("Idempotency-Key",),
        answers={200: answer, **ADMISSION, **NOT_FOUND},
        errors=(),
        **others,
    )


def _from_video(summary: str, description: str) -> Operation:
    names, required = SourceVideoBody.model_fields, ("prompt", "video")
    example = {"prompt": "now in blue", "video": {"id": VIDEO_ID}}
    return _creation(
        summary,
        description,
        request={
            JSON: Content(
                schema=body_schema(names, required=required), examples={"stored video": example}
            ),
            MULTIPART: Content(schema=form_schema(names, file="video", required=required)),
        },
    )


VIDEO_OPERATIONS = {
    "VideoService.CreateVideo": _creation(
        "Create video",
        "Admits a video from a JSON object or from a form with `input_reference`, and answers when "
        "it is safe on disk.",
        request={
            JSON: Content(
                schema=body_schema(CreateVideoBody.model_fields),
                examples={
                    "text to video": {
                        "prompt": "a red ball on grass",
                        "seconds": 4,
                        "size": "1280x720",
                    },
                    "image to video": {
                        "prompt": "it rolls away",
                        "input_reference": "https://example.com/ball.png",
                    },
                },
            ),
            MULTIPART: Content(
                schema=form_schema(CreateVideoBody.model_fields, file="input_reference")
            ),
        },
    ),
    "VideoService.ListVideos": Operation(
        tag=VIDEOS,
        summary="List videos",
        description="Lists videos by the time of their creation, a page at a time.",
        answers={
            200: json_answer(
                "The page.",
                VideoPage,
                {
                    "last page": {
                        "object": "list",
                        "data": [COMPLETED],
                        "first_id": VIDEO_ID,
                        "last_id": VIDEO_ID,
                        "has_more": False,
                    }
                },
            ),
            **ALWAYS,
            400: openai_error(
                "`after` is no video.",
                "after: 'video_x' is no video; give the last_id of a page, or leave it out",
                "invalid_cursor",
                param="after",
            ),
            **INVALID,
        },
        errors=(),
        parameters={
            "after": Parameter(
                description="Starts behind this video: the `last_id` of a page. One that "
                "was deleted since stands for its place in time. Empty for the first page.",
                example="",
            ),
            "limit": Parameter(
                description="The most videos of one page, 1 to 100; empty for 20.", example="20"
            ),
            "order": Parameter(
                description="`desc`, the newest first, or `asc`; empty for `desc`.",
                schema={"enum": ["", "asc", "desc"]},
                example="desc",
            ),
        },
    ),
    "VideoService.GetVideo": Operation(
        tag=VIDEOS,
        summary="Get video",
        description=(
            "Returns a video as it is now. The header `openai-poll-after-ms` says when to ask"
            " again."
        ),
        answers={
            200: json_answer(
                "The video.",
                VideoObject,
                {"running": RUNNING, "completed": COMPLETED, "cancelled": CANCELLED},
                headers=("OpenAI-Poll-After-Ms",),
            ),
            **ALWAYS,
            **NOT_FOUND,
        },
        errors=(),
        parameters=PATH,
    ),
    "VideoService.DeleteVideo": Operation(
        tag=VIDEOS,
        summary="Delete video",
        description="Deletes a video with its files; one that is not made yet is cancelled first.",
        answers={
            200: json_answer(
                "It is gone.",
                DeletedVideo,
                {
                    "deleted": {
                        "id": VIDEO_ID,
                        "object": "video.deleted",
                        "deleted": True,
                        "status": "deleted",
                    }
                },
            ),
            **ALWAYS,
            **NOT_FOUND,
            409: openai_error(
                "It is being cancelled and has not ended in time.",
                f"Task {VIDEO_ID} is cancelling; cancel it and wait for its end before deleting it",
                "task_not_ended",
                type="conflict_error",
            ),
        },
        errors=(),
        parameters=PATH,
    ),
    "VideoService.GetVideoContent": Operation(
        tag=VIDEOS,
        summary="Get video content",
        description=(
            "Sends a video that was made, its thumbnail (the first frame as WebP) or its "
            "spritesheet (up to 16 frames in a JPEG, row by row). Understands `Range`, "
            "`If-None-Match` and HEAD."
        ),
        answers={
            200: Answer(description="The whole file.", content=FILE, headers=FILE_HEADERS),
            206: Answer(
                description="The part that was asked for.",
                content=FILE,
                headers=(*FILE_HEADERS, "Content-Range"),
            ),
            304: Answer(description="The file is the one you have.", headers=("ETag",)),
            **ALWAYS,
            400: NOT_READY,
            **NOT_FOUND,
            416: openai_error(
                "The range begins beyond the end of the file.",
                "offset is beyond the end of the file (18234 bytes)",
                "offset_out_of_range",
                headers=("Content-Range",),
            ),
        },
        errors=(),
        headers=("Range", "If-Range", "If-None-Match"),
        parameters={
            **PATH,
            "variant": Parameter(
                description="`video`, `thumbnail` or `spritesheet`; empty for `video`.",
                schema={"enum": ["", "video", "thumbnail", "spritesheet"]},
                example="video",
            ),
        },
    ),
    "VideoService.RemixVideo": _creation(
        "Remix video",
        "Makes a new video from one that was made and another prompt: it is continued where the "
        "pipeline has the kind `vc`, else begun with its last frame (`i2v`). What is not given is "
        "taken over from it.",
        parameters=PATH,
        request={
            JSON: Content(
                schema=body_schema(VideoBody.model_fields),
                examples={"remix": {"prompt": "now in blue"}},
            )
        },
    ),
    "VideoService.EditVideo": _from_video(
        "Edit video",
        "Makes a new video from a given one and a prompt, by the kind `vc`; of a video that was "
        "made here the first frame is taken where the pipeline has only `i2v`.",
    ),
    "VideoService.ExtendVideo": _from_video(
        "Extend video", "Continues a given video, by the kind `vc`."
    ),
    "VideoService.CreateCharacter": Operation(
        tag=VIDEOS,
        summary="Create character",
        description=(
            "Refuses: no pipeline that is served keeps characters. HTTP 400 with the code "
            "`unsupported`."
        ),
        answers={200: Answer(description="Never."), **ALWAYS},
        errors=(),
    ),
    "VideoService.GetCharacter": Operation(
        tag=VIDEOS,
        summary="Get character",
        description="Returns a character. HTTP 404, since there is none.",
        answers={
            200: Answer(description="Never."),
            **ALWAYS,
            404: openai_error("There is none.", "Character char_ada not found", "not_found"),
        },
        errors=(),
        parameters={"character_id": Parameter(description="The character.", example="char_ada")},
    ),
}
