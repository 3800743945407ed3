"""The operations of the OpenAI models."""

from telefuser_grpc.server.openapi.image_bodies import Model, ModelList
from telefuser_grpc.server.openapi.openai_errors import ANY_CALL, openai_error
from telefuser_grpc.server.openapi.operation import Operation, Parameter, json_answer

TAG = "OpenAI models"
SERVED = {
    "id": "moving_shapes",
    "object": "model",
    "created": 1763799298,
    "owned_by": "telefuser",
}

MODEL_OPERATIONS = {
    "ModelService.ListModels": Operation(
        tag=TAG,
        summary="List models",
        description="Lists what is served: one pipeline.",
        answers={
            200: json_answer("The list.", ModelList, {"one": {"object": "list", "data": [SERVED]}}),
            **ANY_CALL,
        },
        errors=(),
    ),
    "ModelService.GetModel": Operation(
        tag=TAG,
        summary="Get a model",
        description="Returns the pipeline that is served, by its name.",
        parameters={"model": Parameter(description="Its name.", example="moving_shapes")},
        answers={
            200: json_answer("The model.", Model, {"served": SERVED}),
            **ANY_CALL,
            404: openai_error(
                "Nothing of that name is served.",
                "The model 'other' does not exist; GET /v1/models lists what is served",
                "model_not_found",
            ),
        },
        errors=(),
    ),
}
