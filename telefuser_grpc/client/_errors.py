"""Rebuilds the service's errors from what a failed call carries."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

import grpc
from google.rpc import error_details_pb2, status_pb2

from telefuser_grpc.errors import (
    AccessDenied,
    ChecksumMismatch,
    Conflict,
    Exhausted,
    InvalidFields,
    InvalidRequest,
    NotFound,
    TeleFuserError,
    Unauthenticated,
    Unavailable,
    Violation,
)

DETAILS_KEY = "grpc-status-details-bin"

CODE_CLASSES: Mapping[str, type[TeleFuserError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": Conflict,
    "FAILED_PRECONDITION": Conflict,
    "PERMISSION_DENIED": AccessDenied,
    "UNAUTHENTICATED": Unauthenticated,
    "RESOURCE_EXHAUSTED": Exhausted,
    "DATA_LOSS": ChecksumMismatch,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": Unavailable,
}

SIGNS_OF_A_BROKEN_CALL = (
    "RST_STREAM",
    "Stream removed",
    "Internal error from Core",  # grpc.aio, when an answer comes while it is still sending
)

Error = TypeVar("Error", bound=TeleFuserError)


class FailedCall(Protocol):
    """What a failed call tells, of either kind of client."""

    def code(self) -> grpc.StatusCode:
        """Returns the status code."""
        ...

    def details(self) -> str | None:
        """Returns the status message."""
        ...

    def trailing_metadata(self) -> Any:
        """Returns the trailers: pairs, or None."""
        ...


def error_of(call: FailedCall, target: str) -> TeleFuserError:
    """Returns the error that the service raised, or Unavailable when none could be reached."""
    trailers = dict(call.trailing_metadata() or ())
    if details := trailers.get(DETAILS_KEY):
        return _from_status(status_pb2.Status.FromString(details), call.code().name)
    if _is_broken(call):
        return connection_lost(target)
    if call.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return _build(Unavailable, f"{target} did not answer in time")
    message = call.details() or f"{target} answered {call.code().name}"
    return _build(CODE_CLASSES.get(call.code().name, TeleFuserError), message)


def connection_lost(target: str) -> Unavailable:
    """Returns the error of a caller who reaches nobody."""
    return _build(
        Unavailable,
        f"No TeleFuser service answers at {target}; "
        "start one with `telefuser serve`, or check the address",
    )


def _is_broken(call: FailedCall) -> bool:
    details = call.details() or ""
    return call.code() is grpc.StatusCode.UNAVAILABLE or (
        call.code()
        in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED)
        and any(sign in details for sign in SIGNS_OF_A_BROKEN_CALL)
    )


def _from_status(status: status_pb2.Status, code: str) -> TeleFuserError:
    info, request, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    for each in status.details:
        for known in (info, request, retry):
            each.Unpack(known)
    error = _build(_class_of(info.reason, code), status.message)
    error.metadata = dict(info.metadata)
    error.violations = tuple(
        Violation(each.field, each.description, each.reason.lower() or "value_error")
        for each in request.field_violations
    )
    error.retry_after_seconds = retry.retry_delay.ToTimedelta().total_seconds() or None
    return error


def _class_of(reason: str, code: str) -> type[TeleFuserError]:
    known = _classes_by_reason().get(reason)
    if known and known.code == code:
        return known
    return CODE_CLASSES.get(code, TeleFuserError)


def _classes_by_reason() -> dict[str, type[TeleFuserError]]:
    classes: dict[str, type[TeleFuserError]] = {InvalidFields.reason: InvalidFields}  # inherited
    for each in _subclasses(TeleFuserError):
        if "reason" in vars(each):
            classes.setdefault(each.reason, each)  # the first of those that share one
    return classes


def _subclasses(root: type[TeleFuserError]) -> Iterator[type[TeleFuserError]]:
    for each in root.__subclasses__():
        yield each
        yield from _subclasses(each)


def _build(kind: type[Error], message: str) -> Error:
    error = kind.__new__(kind)
    TeleFuserError.__init__(error, message)
    rebuilt: TeleFuserError = error
    rebuilt.retry_after_seconds = None
    return error
