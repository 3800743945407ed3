"""What goes wrong between a caller and its task."""

from telefuser_grpc.errors import TeleFuserError


class TaskCreationError(TeleFuserError):
    """The task was refused, or nobody could be asked."""


class TaskFailedError(TeleFuserError):
    """The task has ended without a result: it failed or was cancelled."""


class TaskTimeoutError(TeleFuserError):
    """The caller's time is over; the task goes on."""
