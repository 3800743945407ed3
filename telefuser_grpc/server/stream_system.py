"""The native system service where sessions are served."""

from telefuser_grpc._gen.telefuser.v1 import system_service_pb2 as pb
from telefuser_grpc.scheduler.stream_service import StreamService
from telefuser_grpc.server import convert
from telefuser_grpc.server.rpc import Context
from telefuser_grpc.server.system import ReadinessServicer


class StreamSystemServicer(ReadinessServicer):
    """Answers `telefuser.v1.SystemService`; there is no contract, and no task."""

    def __init__(self, service: StreamService) -> None:
        super().__init__(service)
        self._service = service

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: Context
    ) -> pb.GetStatusResponse:
        return pb.GetStatusResponse(replicas=convert.replicas(self._service.replicas()))

    async def GetMetadata(
        self, request: pb.GetMetadataRequest, context: Context
    ) -> pb.GetMetadataResponse:
        return pb.GetMetadataResponse(
            replica_count=len(self._service.replicas()),
            parallelism=self._service.facts.parallelism,
        )
