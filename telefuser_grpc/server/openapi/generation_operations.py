"""The operations of the Image-to-Video API."""

from telefuser_grpc.server.openapi.operation import Answer, Operation, Parameter

GENERATION_OPERATIONS = {
    "GenerationService.GetHealth": Operation(
        tag="Image to video",
        summary="Get health",
        description="Tells whether the model is loaded and how much memory it takes.",
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "GenerationService.Generate": Operation(
        tag="Image to video",
        summary="Generate",
        description=(
            "Makes a video and answers with it when it is there. HTTP 429 at once when memory"
            " does not suffice."
        ),
        answers={200: Answer(description="Done.")},
        errors=(),
    ),
    "GenerationService.GetOutput": Operation(
        tag="Image to video",
        summary="Get output",
        description="Sends a video that was made.",
        answers={200: Answer(description="Done.")},
        errors=(),
        parameters={
            "file": Parameter(description="The name of the file."),
        },
    ),
}
