"""The operations of a service of sessions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from telefuser_grpc.server.openapi.errors import ERRORS, ErrorText
from telefuser_grpc.server.openapi.operation import (
    JSON,
    Answer,
    Content,
    Operation,
    Parameter,
    json_answer,
)
from telefuser_grpc.server.openapi.schemas import TEMPLATE, reference
from telefuser_grpc.server.openapi.service_operations import SERVICE_OPERATIONS, SUMMARY
from telefuser_grpc.server.openapi.stream_bodies import (
    WORLD,
    AnsweredOffer,
    ClosedSession,
    SessionStatus,
    StreamHealth,
    StreamMetadata,
    StreamMetrics,
    StreamStatus,
)

SESSIONS, SERVICE = "Sessions", "Service"
SESSION_ID = {"session_id": Parameter(description="The session.", example=WORLD)}
COUNTS = {
    "webrtc_active_sessions": 1,
    "webrtc_server_push_sessions": 0,
    "webrtc_bidirectional_sessions": 1,
    "webrtc_max_sessions": 10,
    "webrtc_video_codec": "H264",
    "webrtc_video_bitrate": 8_000_000,
}
HEALTHY = {
    "status": "healthy",
    "timestamp": "2026-11-22T08:30:00Z",
    "version": "1.0.0",
    "ready": True,
    "stream_ready": True,
    "stream_mode": "bidirectional",
    **COUNTS,
}
NOT_READY = HEALTHY | {
    "status": "not_ready",
    "ready": False,
    "stream_ready": False,
    "stream_mode": None,
}
ACTIVE = {
    "service_status": "active",
    "current_task": None,
    "current_tasks": [],
    "processing_count": 0,
    "max_concurrent_processing": 1,
    "active_tasks": [WORLD],
    "pending_tasks": 0,
    "queue_size": 10,
    "total_tasks": 0,
    "completed_tasks": 0,
    "failed_tasks": 0,
    "cancelled_tasks": 0,
    "effective_max_concurrent_tasks": 1,
    "configured_max_concurrent_tasks": 1,
    "execution_mode": "serial_single_pipeline",
    "pool": [
        {
            "id": 0,
            "device_ids": [],
            "status": "busy",
            "state": "busy",
            "task_id": WORLD,
            "task_ids": [WORLD],
            "restarts": 0,
            "pid": 4711,
            "last_error": None,
        }
    ],
    **COUNTS,
}
LOADED = {
    "service_type": "stream",
    "stream_mode": "bidirectional",
    "pipeline_file": "stream_moving_shapes.py",
    "security_level": "STRICT",
    "runner": "StreamPipelineService",
    "max_queue_size": 10,
    "default_fps": 8.0,
    **COUNTS,
    "performance": {"phases": [{"name": "pipeline_init", "seconds": 1.5, "memory": []}]},
    "environment": {
        "python_version": "3.11.9",
        "platform": "Linux",
        "torch_version": "2.7.0",
        "cuda_version": None,
        "telefuser_git_commit": None,
        "gpus": [],
    },
}
OFFER = {"sdp": "v=0", "task": "i2v", "prompt": "a red ball on grass", "fps": 8}
ANSWERED = {"session_id": WORLD, "sdp": "v=0", "type": "answer"}
CLOSED = {"session_id": WORLD, "status": "closed"}
OPEN = {"session_id": WORLD, "status": "active", "stream_mode": "bidirectional"}
UNKNOWN = {"session_id": WORLD, "status": "unknown"}


def _text(description: str, *details: str, headers: tuple[str, ...] = ()) -> Answer:
    examples = {f"text{number}": {"detail": each} for number, each in enumerate(details, 1)}
    content = Content(schema=reference(ErrorText), examples=examples)
    return Answer(description=description, content={JSON: content}, headers=headers)


STREAM_ERRORS: Mapping[str, tuple[int, Answer]] = {
    **ERRORS,
    "OfferRefused": (
        400,
        _text(
            "The offer cannot be answered, or the pipeline does not take the configuration.",
            "SDP negotiation failed: no video is asked for",
            "Session creation failed: image is required",
        ),
    ),
    "SessionConflict": (
        409,
        _text(
            "The pipeline can have no further session now.",
            "Session creation conflict: one session is active; stop it before reconnecting",
        ),
    ),
    "ConnectionNotFound": (
        404,
        _text("No such session over WebRTC.", f"WebRTC session {WORLD} not found"),
    ),
    "SessionNotFound": (404, _text("No such session.", f"Session {WORLD} not found")),
    "NoSession": (
        503,
        _text(
            "The server can have no further session, has one of that id, has nothing loaded, "
            "or is stopping.",
            "Stream service is not running",
            "Max WebRTC sessions (10) reached",
            f"Session {WORLD} already exists",
            headers=("Retry-After",),
        ),
    ),
    "Unavailable": (
        503,
        _text(
            "The pipeline is not loaded, or the server is stopping.",
            "Stream service is not running",
            "Service temporarily unavailable",
            headers=("Retry-After",),
        ),
    ),
}


def _served(rpc: str, answer: Answer, **changes: Any) -> Operation:
    """Returns an operation that servers of tasks have too, with another answer."""
    known = SERVICE_OPERATIONS[rpc]
    return replace(known, answers={**known.answers, 200: answer}, **changes)


STREAM_OPERATIONS: Mapping[str, Operation] = {
    "RestStreamService.OfferSession": Operation(
        tag=SESSIONS,
        summary="Open a session over WebRTC",
        description="Answers the offer of a WebRTC connection. Where both sides speak, the client "
        "creates a data channel named `telefuser`, and the session begins when it opens; else it "
        "begins with the connection.",
        operation_id="offerSession",
        request={
            JSON: Content(
                schema={"$ref": TEMPLATE.format(model="OfferBody")},
                examples={"offer": OFFER, "with a config": OFFER | {"config": {"seed": 42}}},
            )
        },
        answers={200: json_answer("The answer.", AnsweredOffer, {"answer": ANSWERED})},
        errors=(
            "OfferRefused",
            "RequestTimeout",
            "SessionConflict",
            "TooLarge",
            "InvalidFields",
            "RateLimited",
            "NoSession",
        ),
    ),
    "RestStreamService.CloseConnection": Operation(
        tag=SESSIONS,
        summary="End a session over WebRTC",
        description="Ends a session by ending its connection, and answers when it has ended.",
        parameters=SESSION_ID,
        answers={200: json_answer("It has ended.", ClosedSession, {"closed": CLOSED})},
        errors=("ConnectionNotFound", "RateLimited"),
    ),
    "RestStreamService.CloseSession": Operation(
        tag=SESSIONS,
        summary="End a session",
        description="Ends a session, whatever it runs over, and answers when it has ended. Where "
        "both sides speak, an unknown session counts as ended.",
        parameters=SESSION_ID,
        answers={200: json_answer("It has ended.", ClosedSession, {"closed": CLOSED})},
        errors=("SessionNotFound", "RateLimited"),
    ),
    "RestStreamService.GetSessionStatus": Operation(
        tag=SESSIONS,
        summary="Tell whether a session is open",
        description="Answers 200 for every id.",
        parameters=SESSION_ID,
        answers={
            200: json_answer("Its status.", SessionStatus, {"open": OPEN, "unknown": UNKNOWN})
        },
        errors=("RateLimited",),
    ),
    **SERVICE_OPERATIONS,
    "RestSystemService.GetHealth": _served(
        "RestSystemService.GetHealth",
        json_answer("The service lives.", StreamHealth, {"healthy": HEALTHY}),
    ),
    "RestSystemService.GetReadiness": Operation(
        tag=SERVICE,
        summary="Tell whether sessions can be opened",
        description="Answers 200 when a pipeline is loaded and the server is not stopping; "
        "else 503.",
        answers={
            200: json_answer(
                "Sessions can be opened.", StreamHealth, {"ready": HEALTHY | {"status": "ready"}}
            ),
            503: Answer(
                description="No session can be opened, or the server does not answer.",
                content={
                    JSON: Content(
                        schema={"anyOf": [reference(StreamHealth), reference(ErrorText)]},
                        examples={
                            "not ready": NOT_READY,
                            "down": {"detail": "Service temporarily unavailable"},
                        },
                    )
                },
                headers=("Retry-After",),
            ),
        },
        errors=(),
    ),
    "RestSystemService.GetStatus": _served(
        "RestSystemService.GetStatus",
        json_answer("The status.", StreamStatus, {"active": ACTIVE}),
        summary="Get the sessions and their process",
        description="Returns the caller's sessions, and the state of the process that generates.",
    ),
    "RestSystemService.GetMetadata": _served(
        "RestSystemService.GetMetadata",
        json_answer("The pipeline.", StreamMetadata, {"a world": LOADED}),
        summary="Get what is loaded",
        description="Returns what the loaded pipeline is, how it was loaded, and what it runs on.",
    ),
    "RestSystemService.GetMetricsJson": _served(
        "RestSystemService.GetMetricsJson",
        json_answer("The metrics.", StreamMetrics, {"one session": SUMMARY | {"webrtc": COUNTS}}),
    ),
}
