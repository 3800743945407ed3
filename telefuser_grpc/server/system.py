"""The native system service."""

from datetime import UTC, datetime
from typing import Protocol

from telefuser_grpc import __version__
from telefuser_grpc._gen.telefuser.v1 import system_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1.system_service_pb2_grpc import SystemServiceServicer
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.scheduler.service import Service
from telefuser_grpc.server import convert
from telefuser_grpc.server.rpc import Context


class Readiness(Protocol):
    """What every service knows of itself."""

    @property
    def is_ready(self) -> bool:
        """Whether it would do what it is for."""
        ...

    @property
    def why_not_ready(self) -> str:
        """Says in one sentence why not, or nothing."""
        ...


class ReadinessServicer(SystemServiceServicer):
    """Answers of `telefuser.v1.SystemService` what is the same for every service."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def GetHealth(
        self, request: pb.GetHealthRequest, context: Context
    ) -> pb.GetHealthResponse:
        return pb.GetHealthResponse(
            version=__version__,
            ready=self._readiness.is_ready,
            server_time=convert.timestamp(datetime.now(UTC)),
        )

    async def GetReadiness(
        self, request: pb.GetReadinessRequest, context: Context
    ) -> pb.GetReadinessResponse:
        return pb.GetReadinessResponse(
            ready=self._readiness.is_ready, message=self._readiness.why_not_ready
        )


class SystemServicer(ReadinessServicer):
    """Answers `telefuser.v1.SystemService` where tasks are served."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._service = service

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: Context
    ) -> pb.GetStatusResponse:
        counts = self._service.counts()
        return pb.GetStatusResponse(
            pending_count=counts[TaskState.PENDING],
            processing_count=counts[TaskState.PROCESSING] + counts[TaskState.CANCELLING],
            queue_limit=self._service.queue_limit,
            completed_count=counts[TaskState.COMPLETED],
            failed_count=counts[TaskState.FAILED],
            cancelled_count=counts[TaskState.CANCELLED],
            replicas=convert.replicas(self._service.replicas()),
        )

    async def GetMetadata(
        self, request: pb.GetMetadataRequest, context: Context
    ) -> pb.GetMetadataResponse:
        return pb.GetMetadataResponse(
            contract=convert.contract(self._service.contract),
            replica_count=len(self._service.replicas()),
            parallelism=self._service.facts.parallelism,
            queue_limit=self._service.queue_limit,
        )
