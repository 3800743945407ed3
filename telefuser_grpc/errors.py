"""Every error that the service can tell a caller about.

    TeleFuserError
    ├─ InvalidRequest          the request itself is wrong
    │  ├─ UnsupportedTask        the contract has no such kind of task
    │  ├─ TaskNotInferred        no kind of task fits the inputs given
    │  ├─ MissingInputs          a required input is absent
    │  ├─ MissingParameters      a required parameter is absent or empty
    │  ├─ InvalidFields          a type, range, choice or form is wrong
    │  ├─ UnsupportedContentType the body is of a kind that the path does not take
    │  ├─ OutputPathRejected     the result cannot have that name
    │  ├─ InputRejected          media that cannot be used
    │  │  ├─ UploadTooLarge
    │  │  └─ UrlNotAccessible
    │  ├─ SessionRejected · OfferRejected
    │  └─ InvalidPageToken
    ├─ NotFound
    │  ├─ TaskNotFound · ArtifactNotFound · UploadNotFound · SessionNotFound
    ├─ Unauthenticated · AccessDenied · ChecksumMismatch · OffsetOutOfRange
    ├─ Conflict
    │  ├─ TaskAlreadyExists · RequestIdReused · TaskNotEnded
    │  ├─ SessionConflict · SessionAlreadyExists
    ├─ Exhausted               comes back later, or with more room
    │  ├─ QueueFull · StorageFull · NoCapacity · SessionLimitReached
    ├─ Unavailable
    │  ├─ PipelineNotReady · ShuttingDown · StreamNotRunning
    ├─ WebRtcNotInstalled      this server never will
    ├─ SessionFailed           why a session ended before its client or its pipeline wished
    └─ TaskFailed              why a task ended without a result
       ├─ PipelineFailed · OutOfMemory · OutputInvalid
       ├─ TaskTimeout · TaskStalled · ReplicaDied · TaskCancelled · InternalFault

A class knows its canonical code, its reason (a name of `ErrorReason` in error.proto) and its HTTP
status; the server's error interceptor is the only place that writes them on a wire.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Code(StrEnum):
    """The canonical gRPC status codes that the service uses."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"
    ABORTED = "ABORTED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is wrong: its name, what is wrong and how to mend it, and a short type."""

    field: str
    message: str
    type: str = "value_error"


class TeleFuserError(Exception):
    """A fault that a caller is told about.

    Attributes:
        message: One sentence that names what is wrong and how to mend it; no path, no trace.
        metadata: The varying parts of the message, for programs.
        violations: The fields that are wrong, where fields are.
        retry_after_seconds: When to try again, where a retry helps.
    """

    code: ClassVar[Code] = Code.INTERNAL
    reason: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int] = 500
    retry_after_seconds: float | None = None

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)


class InvalidRequest(TeleFuserError):
    code = Code.INVALID_ARGUMENT
    reason = "INVALID_FIELDS"
    http_status = 400


class UnsupportedTask(InvalidRequest):
    reason = "UNSUPPORTED_TASK"

    def __init__(self, kind: str, supported: Sequence[str]) -> None:
        message = f"Task {kind!r} is not supported by the current pipeline"
        super().__init__(
            message,
            metadata={"task": kind, "supported_tasks": ",".join(supported)},
            violations=[
                Violation("task", f"{message}; use one of {', '.join(supported)}", "unsupported")
            ],
        )
        self.supported = tuple(supported)


class TaskNotInferred(InvalidRequest):
    reason = "UNSUPPORTED_TASK"

    def __init__(self, supported: Sequence[str]) -> None:
        message = "Could not infer a compatible task for the uploaded inputs"
        remedy = f"name it in task, one of {', '.join(supported)}, and give the inputs it needs"
        super().__init__(
            message,
            metadata={"supported_tasks": ",".join(supported)},
            violations=[Violation("task", f"{message}; {remedy}", "not_inferred")],
        )
        self.supported = tuple(supported)


class MissingInputs(InvalidRequest):
    reason = "MISSING_INPUTS"

    def __init__(self, kind: str, required: Sequence[str], missing: Sequence[str]) -> None:
        message = f"Task {kind!r} is missing required inputs"
        super().__init__(
            message,
            metadata={"task": kind, "missing_inputs": ",".join(missing)},
            violations=[Violation(name, message, "missing_input") for name in missing],
        )
        self.required = tuple(required)
        self.missing = tuple(missing)


class MissingParameters(InvalidRequest):
    reason = "MISSING_PARAMETERS"

    def __init__(self, kind: str, required: Sequence[str], missing: Sequence[str]) -> None:
        message = f"Task {kind!r} is missing required parameters"
        super().__init__(
            message,
            metadata={"task": kind, "missing_parameters": ",".join(missing)},
            violations=[Violation(name, message, "missing_parameter") for name in missing],
        )
        self.required = tuple(required)
        self.missing = tuple(missing)


class InvalidFields(InvalidRequest):
    http_status = 422

    def __init__(self, violations: Sequence[Violation]) -> None:
        text = "; ".join(f"{each.field}: {each.message}" for each in violations)
        super().__init__(text, violations=violations)


class UnsupportedContentType(InvalidRequest):
    http_status = 415

    def __init__(self, given: str, accepted: Sequence[str]) -> None:
        named = repr(given) if given else "missing"
        super().__init__(f"Content-Type is {named}; send {' or '.join(accepted)}")


class OutputPathRejected(InvalidRequest):
    def __init__(self, why: str) -> None:
        super().__init__(why, violations=[Violation("output_path", why, "output_path")])


class InputRejected(InvalidRequest):
    """`why` ends a sentence about the field, or is a whole one that begins with its name."""

    reason = "INPUT_REJECTED"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(
            why if why.startswith(f"{field} ") else f"{field}: {why}",
            metadata={"field": field},
            violations=[Violation(field, why, "input_rejected")],
        )


class UploadTooLarge(InputRejected):
    reason = "UPLOAD_TOO_LARGE"
    http_status = 413

    def __init__(self, field: str, limit_bytes: int, *, bound: str = "an input may have") -> None:
        super().__init__(field, f"larger than the {limit_bytes} bytes that {bound}")
        self.metadata["limit_bytes"] = str(limit_bytes)


class UrlNotAccessible(InputRejected):
    """An address of media that this server does not fetch, or could not."""

    def __init__(self, field: str, why: str) -> None:
        message = f"{field} URL is not accessible: {why}"
        InvalidRequest.__init__(
            self,
            message,
            metadata={"field": field},
            violations=[Violation(field, message, "input_rejected")],
        )


class InvalidPageToken(InvalidRequest):
    reason = "INVALID_PAGE_TOKEN"

    def __init__(self) -> None:
        why = "is malformed or belongs to another listing; start again without it"
        super().__init__(f"page_token {why}", violations=[Violation("page_token", why)])


class SessionRejected(InvalidRequest):
    reason = "SESSION_REJECTED"

    def __init__(self, why: str) -> None:
        super().__init__(f"Session creation failed: {why}")


class OfferRejected(InvalidRequest):
    reason = "OFFER_REJECTED"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"SDP negotiation failed: {why}", violations=[Violation("sdp", why, "offer_rejected")]
        )


class NotFound(TeleFuserError):
    code = Code.NOT_FOUND
    http_status = 404


class TaskNotFound(NotFound):
    reason = "TASK_NOT_FOUND"

    def __init__(self, task_id: str) -> None:
        super().__init__("Task not found", metadata={"task_id": task_id})


class ArtifactNotFound(NotFound):
    reason = "ARTIFACT_NOT_FOUND"

    def __init__(self, artifact_id: str) -> None:
        super().__init__("File not found", metadata={"artifact_id": artifact_id})


class UploadNotFound(NotFound):
    reason = "UPLOAD_NOT_FOUND"

    def __init__(self, upload_id: str) -> None:
        super().__init__(
            f"Upload {upload_id!r} not found; send the file again",
            metadata={"upload_id": upload_id},
        )


class SessionNotFound(NotFound):
    reason = "SESSION_NOT_FOUND"

    def __init__(self, session_id: str, *, kind: str = "Session") -> None:
        super().__init__(f"{kind} {session_id} not found", metadata={"session_id": session_id})


class Unauthenticated(TeleFuserError):
    code = Code.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"
    http_status = 401


class AccessDenied(TeleFuserError):
    code = Code.PERMISSION_DENIED
    reason = "ACCESS_DENIED"
    http_status = 403

    def __init__(self) -> None:
        super().__init__("Access to this file is not allowed")


class ChecksumMismatch(TeleFuserError):
    code = Code.DATA_LOSS
    reason = "CHECKSUM_MISMATCH"
    http_status = 400

    def __init__(self, what: str) -> None:
        super().__init__(f"The received {what} differs from the promised one; send the file again")


class OffsetOutOfRange(TeleFuserError):
    code = Code.OUT_OF_RANGE
    reason = "OFFSET_OUT_OF_RANGE"
    http_status = 416

    def __init__(self, size_bytes: int) -> None:
        super().__init__(
            f"offset is beyond the end of the file ({size_bytes} bytes)",
            metadata={"size_bytes": str(size_bytes)},
            violations=[Violation("offset", f"must be at most {size_bytes}")],
        )
        self.size_bytes = size_bytes


class Conflict(TeleFuserError):
    code = Code.ALREADY_EXISTS
    http_status = 409


class TaskAlreadyExists(Conflict):
    reason = "TASK_ALREADY_EXISTS"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"Task ID {task_id} already exists", metadata={"task_id": task_id})


class RequestIdReused(Conflict):
    reason = "REQUEST_ID_REUSED"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"request_id {request_id!r} was used before with another request; choose a new one",
            metadata={"request_id": request_id},
        )


class TaskNotEnded(Conflict):
    code = Code.FAILED_PRECONDITION
    reason = "TASK_NOT_ENDED"

    def __init__(self, task_id: str, state: str) -> None:
        super().__init__(
            f"Task {task_id} is {state}; cancel it and wait for its end before deleting it",
            metadata={"task_id": task_id, "state": state},
        )


class SessionConflict(Conflict):
    code = Code.FAILED_PRECONDITION
    reason = "SESSION_CONFLICT"

    def __init__(self, why: str) -> None:
        super().__init__(f"Session creation conflict: {why}")


class SessionAlreadyExists(Conflict):
    reason = "SESSION_ALREADY_EXISTS"
    http_status = 503

    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"Session {session_id} already exists", metadata={"session_id": session_id}
        )


class Exhausted(TeleFuserError):
    code = Code.RESOURCE_EXHAUSTED
    http_status = 503


class QueueFull(Exhausted):
    reason = "QUEUE_FULL"

    def __init__(self, limit: int, retry_after_seconds: float = 5.0) -> None:
        super().__init__(f"Task queue is full (max {limit} tasks)", metadata={"limit": str(limit)})
        self.retry_after_seconds = retry_after_seconds


class StorageFull(Exhausted):
    reason = "STORAGE_FULL"
    http_status = 507
    retry_after_seconds = 30.0

    def __init__(self) -> None:
        super().__init__("The server's disk is full or refuses writes; try again later")


class NoCapacity(Exhausted):
    reason = "NO_CAPACITY"

    def __init__(self) -> None:
        super().__init__("No inference capacity: all pipeline replicas are dead")


class SessionLimitReached(Exhausted):
    reason = "SESSION_LIMIT_REACHED"
    retry_after_seconds = 5.0

    def __init__(self, limit: int) -> None:
        super().__init__(f"Max WebRTC sessions ({limit}) reached", metadata={"limit": str(limit)})


class Unavailable(TeleFuserError):
    code = Code.UNAVAILABLE
    http_status = 503
    retry_after_seconds = 5.0


class PipelineNotReady(Unavailable):
    reason = "PIPELINE_NOT_READY"

    def __init__(self) -> None:
        super().__init__("No service is initialized: the pipeline is still being loaded")


class ShuttingDown(Unavailable):
    reason = "SHUTTING_DOWN"

    def __init__(self) -> None:
        super().__init__("The server is stopping; send the request again to its successor")


class StreamNotRunning(Unavailable):
    reason = "STREAM_NOT_RUNNING"

    def __init__(self) -> None:
        super().__init__("Stream service is not running")


class WebRtcNotInstalled(TeleFuserError):
    code = Code.UNAVAILABLE
    reason = "WEBRTC_NOT_INSTALLED"
    http_status = 503

    def __init__(self) -> None:
        super().__init__(
            "WebRTC is not installed on this server; its operator installs telefuser-grpc[webrtc]"
        )


class SessionFailed(TeleFuserError):
    code = Code.ABORTED
    reason = "SESSION_FAILED"


class TaskFailed(TeleFuserError):
    """Why a task ended without a result; stored with the task."""

    code = Code.ABORTED


class PipelineFailed(TaskFailed):
    reason = "PIPELINE_FAILED"


class OutOfMemory(TaskFailed):
    reason = "OUT_OF_MEMORY"


class OutputInvalid(TaskFailed):
    reason = "OUTPUT_INVALID"


class TaskTimeout(TaskFailed):
    reason = "TASK_TIMEOUT"

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(
            "Task processing timeout", metadata={"timeout_seconds": f"{timeout_seconds:g}"}
        )


class TaskStalled(TaskFailed):
    reason = "TASK_STALLED"

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(
            f"No step was finished for {timeout_seconds:g} s; the run was stopped",
            metadata={"timeout_seconds": f"{timeout_seconds:g}"},
        )


class ReplicaDied(TaskFailed):
    reason = "REPLICA_DIED"


class TaskCancelled(TaskFailed):
    reason = "CANCELLED"

    def __init__(self) -> None:
        super().__init__("Task cancelled by user")


class InternalFault(TaskFailed):
    reason = "INTERNAL"

    def __init__(self) -> None:
        super().__init__("The server met a fault of its own while running the task")
