"""The operations of the Wan2.1 image-to-video API."""

from telefuser_grpc.server.openapi.operation import Answer, Operation, Parameter

WAN_OPERATIONS = {
    "WanService.SubmitVideo": Operation(
        tag="Wan2.1",
        summary="Submit video",
        description='Fetches the image and admits a task. HTTP 202 with `{"requestId"}`.',
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "WanService.GetVideoStatus": Operation(
        tag="Wan2.1",
        summary="Get video status",
        description="Returns the state of a task.",
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "WanService.CancelVideo": Operation(
        tag="Wan2.1",
        summary="Cancel video",
        description="Cancels a task that has not ended.",
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "WanService.GetVideoFile": Operation(
        tag="Wan2.1",
        summary="Get video file",
        description="Sends a video. Its name is its key: 32 random hexadecimal digits.",
        answers={200: Answer(description="Done.")},
        errors=(),
        parameters={
            "file": Parameter(description="The name of the file."),
        },
    ),
}
