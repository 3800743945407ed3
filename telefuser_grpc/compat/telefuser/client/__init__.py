"""The documented client."""

from telefuser_grpc.client import (
    TaskCreationError,
    TaskFailedError,
    TaskTimeoutError,
    TeleFuserError,
    TFClient,
)

__all__ = ["TFClient", "TaskCreationError", "TaskFailedError", "TaskTimeoutError", "TeleFuserError"]
