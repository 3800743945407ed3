"""The models of the OpenAI API: the pipeline that is served."""

from typing import Any

from telefuser_grpc._gen.openai.v1 import model_service_pb2 as pb
from telefuser_grpc._gen.openai.v1.model_service_pb2_grpc import ModelServiceServicer
from telefuser_grpc.scheduler.service import Service
from telefuser_grpc.server.openai.image_errors import ModelNotFound
from telefuser_grpc.server.rest.bodies import json_response
from telefuser_grpc.server.rpc import Context

OWNER = "telefuser"


class ModelServicer(ModelServiceServicer):
    """Answers `openai.v1.ModelService`.

    Args:
        created: When the service has started, in seconds of Unix time.
    """

    def __init__(self, service: Service, *, created: int) -> None:
        self._service = service
        self._created = created

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        body = {"object": "list", "data": [self._served()]}
        return pb.ListModelsResponse(body=json_response(body))

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        served = self._served()
        if request.model != served["id"]:
            raise ModelNotFound(request.model)
        return pb.GetModelResponse(body=json_response(served))

    def _served(self) -> dict[str, Any]:
        return {
            "id": self._service.contract.pipeline_name,
            "object": "model",
            "created": self._created,
            "owned_by": OWNER,
        }
