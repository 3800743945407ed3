"""The native client: tasks, their progress and their files over gRPC."""

from telefuser_grpc.client._shared import InputSource
from telefuser_grpc.client.aio import AsyncClient
from telefuser_grpc.client.client import Client
from telefuser_grpc.client.values import (
    Queue,
    QueuedTask,
    Readiness,
    ServiceMetadata,
    ServiceStatus,
)
from telefuser_grpc.errors import TeleFuserError

__all__ = [
    "AsyncClient",
    "Client",
    "InputSource",
    "Queue",
    "QueuedTask",
    "Readiness",
    "ServiceMetadata",
    "ServiceStatus",
    "TeleFuserError",
]
