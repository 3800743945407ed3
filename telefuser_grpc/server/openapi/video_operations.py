"""The operations of the OpenAI videos and models."""

from telefuser_grpc.server.openapi.operation import Answer, Operation, Parameter

VIDEO_OPERATIONS = {
    "VideoService.CreateVideo": Operation(
        tag="OpenAI videos",
        summary="Create video",
        description="Admits a video from a JSON object or from a form with `input_reference`.",
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "VideoService.ListVideos": Operation(
        tag="OpenAI videos",
        summary="List videos",
        description="Lists videos by the time of their creation.",
        answers={200: Answer(description="Done.")},
        errors=(),
        parameters={
            "after": Parameter(description="Starts behind this video; empty for the first page."),
            "limit": Parameter(description="The most videos of one page, 1 to 100; empty for 20."),
            "order": Parameter(description="`desc`, the newest first, or `asc`; empty for `desc`."),
        },
    ),
    "VideoService.GetVideo": Operation(
        tag="OpenAI videos",
        summary="Get video",
        description=(
            "Returns a video as it is now. The header `openai-poll-after-ms` says when to ask"
            " again."
        ),
        answers={200: Answer(description="Done.")},
        errors=(),
        parameters={
            "video_id": Parameter(description="The video."),
        },
    ),
    "VideoService.DeleteVideo": Operation(
        tag="OpenAI videos",
        summary="Delete video",
        description="Deletes a video with its files; one that is not made yet is cancelled first.",
        answers={200: Answer(description="Done.")},
        errors=(),
        parameters={
            "video_id": Parameter(description="The video."),
        },
    ),
    "VideoService.GetVideoContent": Operation(
        tag="OpenAI videos",
        summary="Get video content",
        description=(
            "Sends a video that was made, its thumbnail or its spritesheet. Understands "
            "`Range`, `If-None-Match` and HEAD."
        ),
        answers={200: Answer(description="Done.")},
        errors=(),
        parameters={
            "video_id": Parameter(description="The video."),
            "variant": Parameter(
                description="`video`, `thumbnail` or `spritesheet`; empty for `video`."
            ),
        },
    ),
    "VideoService.RemixVideo": Operation(
        tag="OpenAI videos",
        summary="Remix video",
        description="Makes a new video from one that was made and another prompt.",
        answers={200: Answer(description="Done.")},
        errors=(),
        parameters={
            "video_id": Parameter(description="The video to start from."),
        },
    ),
    "VideoService.EditVideo": Operation(
        tag="OpenAI videos",
        summary="Edit video",
        description=(
            "Makes a new video from a given one and a prompt. Takes a form or a JSON object "
            "with `video` and `prompt`."
        ),
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "VideoService.ExtendVideo": Operation(
        tag="OpenAI videos",
        summary="Extend video",
        description=(
            "Continues a given video. Takes a form or a JSON object with `video`, `prompt` "
            "and `seconds`."
        ),
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "VideoService.CreateCharacter": Operation(
        tag="OpenAI videos",
        summary="Create character",
        description=(
            "Refuses: no pipeline that is served keeps characters. HTTP 400 with the code "
            "`unsupported`."
        ),
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "VideoService.GetCharacter": Operation(
        tag="OpenAI videos",
        summary="Get character",
        description="Returns a character. HTTP 404, since there is none.",
        answers={200: Answer(description="Done.")},
        errors=(),
        parameters={
            "character_id": Parameter(description="The character."),
        },
    ),
    "ModelService.ListModels": Operation(
        tag="OpenAI models",
        summary="List models",
        description="Lists what is served.",
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "ModelService.GetModel": Operation(
        tag="OpenAI models",
        summary="Get model",
        description="Returns one model. HTTP 404 for another name.",
        answers={200: Answer(description="Done.")},
        errors=(),
        parameters={
            "model": Parameter(description="Its name."),
        },
    ),
}
