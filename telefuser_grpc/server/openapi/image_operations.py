"""The operations of the OpenAI images."""

from telefuser_grpc.server.openapi.operation import Answer, Operation, Parameter

IMAGE_OPERATIONS = {
    "ImageService.CreateImage": Operation(
        tag="OpenAI images",
        summary="Create image",
        description=(
            'Makes pictures from a prompt. With `"stream": true` previews of the denoising '
            "and the results come as server-sent events, else one JSON object comes at the "
            "end."
        ),
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "ImageService.CreateImageEdit": Operation(
        tag="OpenAI images",
        summary="Create image edit",
        description=(
            "Makes pictures from pictures and a prompt. Takes a form with `image` or "
            "`image[]`, `mask` and `image_url`; answers as CreateImage does."
        ),
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "ImageService.CreateImageVariation": Operation(
        tag="OpenAI images",
        summary="Create image variation",
        description=(
            "Makes variations of a picture. Takes a form with `image`; answers as CreateImage does."
        ),
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "ImageService.GetImageContent": Operation(
        tag="OpenAI images",
        summary="Get image content",
        description="Sends a picture that was made. Understands `Range`, `If-None-Match` and HEAD.",
        answers={200: Answer(description="Done.")},
        errors=(),
        parameters={
            "image_id": Parameter(description="The task that made it."),
        },
    ),
}
