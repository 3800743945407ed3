"""The clients: native over gRPC, and the documented ones over REST."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from telefuser_grpc.client._shared import InputSource
from telefuser_grpc.client.aio import AsyncClient
from telefuser_grpc.client.client import Client
from telefuser_grpc.client.failures import TaskCreationError, TaskFailedError, TaskTimeoutError
from telefuser_grpc.client.values import (
    Queue,
    QueuedTask,
    Readiness,
    ServiceMetadata,
    ServiceStatus,
)
from telefuser_grpc.errors import TeleFuserError

if TYPE_CHECKING:
    from telefuser_grpc.client.tf_client import TFClient

__all__ = [
    "AsyncClient",
    "Client",
    "InputSource",
    "Queue",
    "QueuedTask",
    "Readiness",
    "ServiceMetadata",
    "ServiceStatus",
    "TFClient",
    "TaskCreationError",
    "TaskFailedError",
    "TaskTimeoutError",
    "TeleFuserError",
]


def __getattr__(name: str) -> Any:
    if name == "TFClient":  # what speaks gRPC does not wait for requests to be imported
        return import_module("telefuser_grpc.client.tf_client").TFClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
