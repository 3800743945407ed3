"""The clients: native over gRPC, and the documented ones over REST."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from telefuser_grpc.client._aio_session import AsyncLiveSession
from telefuser_grpc.client._session import LiveSession
from telefuser_grpc.client._shared import InputSource
from telefuser_grpc.client.aio import AsyncClient
from telefuser_grpc.client.client import Client
from telefuser_grpc.client.failures import TaskCreationError, TaskFailedError, TaskTimeoutError
from telefuser_grpc.client.values import (
    PictureFormat,
    Queue,
    QueuedTask,
    Readiness,
    ServiceMetadata,
    ServiceStatus,
    SessionChunk,
    SessionMessage,
    SessionPicture,
)
from telefuser_grpc.errors import TeleFuserError

if TYPE_CHECKING:
    from telefuser_grpc.client.tf_client import TFClient

__all__ = [
    "AsyncClient",
    "AsyncLiveSession",
    "Client",
    "InputSource",
    "LiveSession",
    "PictureFormat",
    "Queue",
    "QueuedTask",
    "Readiness",
    "ServiceMetadata",
    "ServiceStatus",
    "SessionChunk",
    "SessionMessage",
    "SessionPicture",
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
