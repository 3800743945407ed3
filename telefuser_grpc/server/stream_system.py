"""The native system service where sessions are served."""

from datetime import UTC, datetime

from telefuser_grpc import __version__
from telefuser_grpc._gen.telefuser.v1 import system_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1.system_service_pb2_grpc import SystemServiceServicer
from telefuser_grpc.scheduler.stream_service import StreamService
from telefuser_grpc.server import convert
from telefuser_grpc.server.rpc import Context


class StreamSystemServicer(SystemServiceServicer):
    """Answers `telefuser.v1.SystemService`; there is no contract, and no task."""

    def __init__(self, service: StreamService) -> None:
        self._service = service

    async def GetHealth(
        self, request: pb.GetHealthRequest, context: Context
    ) -> pb.GetHealthResponse:
        return pb.GetHealthResponse(
            version=__version__,
            ready=self._service.is_ready,
            server_time=convert.timestamp(datetime.now(UTC)),
        )

    async def GetReadiness(
        self, request: pb.GetReadinessRequest, context: Context
    ) -> pb.GetReadinessResponse:
        return pb.GetReadinessResponse(
            ready=self._service.is_ready, message=self._service.why_not_ready
        )

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
