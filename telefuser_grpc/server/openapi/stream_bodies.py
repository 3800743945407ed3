"""The bodies of a service of sessions."""

from typing import Any, Literal

from pydantic import Field

from telefuser_grpc.server.openapi.schemas import Described, components
from telefuser_grpc.server.openapi.service_bodies import MetricsSummary, ReplicaView
from telefuser_grpc.server.rest.streams import OfferBody

WORLD = "5f1c0d0e-8a53-4b26-9f0e-4a2f6d1c7b90"
Mode = Literal["server_push", "bidirectional"]
Codec = Literal["H264", "VP8"]
FIELDS: dict[str, dict[str, Any]] = {
    "sdp": {"description": "The session description of the client's offer.", "examples": ["v=0"]},
    "task": {"description": "What the pipeline shall do.", "examples": ["i2v"]},
    "type": {"description": "That it is an offer."},
    "session_id": {
        "description": "The id that the session shall have. Without it the server chooses one, and "
        "a pipeline may give it another.",
        "examples": [WORLD],
    },
    "prompt": {"description": "What to show, in words.", "examples": ["a red ball on grass"]},
    "fps": {
        "description": "Pictures of a second. Without it that of `config`, where both sides speak, "
        "or the pipeline's own.",
        "examples": [16],
    },
    "config": {
        "description": "More for the pipeline. Where both sides speak, a field beside it that has "
        "the same name wins.",
        "examples": [{"seed": 42}],
    },
}


class SessionCounts(Described):
    """How many sessions there are, and how their video is sent."""

    webrtc_active_sessions: int = Field(
        description="Sessions of all callers, over WebRTC and gRPC.", ge=0, examples=[1]
    )
    webrtc_server_push_sessions: int = Field(
        description="Those in which the pipeline alone speaks.", ge=0, examples=[0]
    )
    webrtc_bidirectional_sessions: int = Field(
        description="Those in which both sides speak.", ge=0, examples=[1]
    )
    webrtc_max_sessions: int = Field(description="The most sessions.", ge=1, examples=[10])
    webrtc_video_codec: Codec = Field(description="The codec that is preferred.")
    webrtc_video_bitrate: int = Field(
        description="Bits of a second of video.", ge=1, examples=[8_000_000]
    )


class AnsweredOffer(Described):
    """The answer to an offer; the session begins when the connection stands."""

    session_id: str = Field(description="The id that the session has.", examples=[WORLD])
    sdp: str = Field(description="The session description, with all candidates.", examples=["v=0"])
    type: Literal["answer"] = Field(description="That it is an answer.")


class ClosedSession(Described):
    """A session that has ended, or that there never was."""

    session_id: str = Field(description="The session.", examples=[WORLD])
    status: Literal["closed"] = Field(description="That it is closed.")


class SessionStatus(Described):
    """Whether a session is open."""

    session_id: str = Field(description="The session.", examples=[WORLD])
    status: Literal["active", "unknown"] = Field(
        description="`unknown` for one that has ended, or that there never was."
    )
    stream_mode: Mode = Field(
        "bidirectional", description="Who speaks: the pipeline alone, or both; only while open."
    )


class StreamHealth(SessionCounts):
    """Whether the service lives, and whether sessions can be opened."""

    status: Literal["healthy", "ready", "not_ready"] = Field(
        description="`healthy` from `/health`; `ready` or `not_ready` from `/ready`."
    )
    timestamp: str = Field(
        description="The server's clock, RFC 3339.", examples=["2026-11-22T08:30:00Z"]
    )
    version: str = Field(description="The version of this interface.", examples=["1.0.0"])
    ready: bool = Field(description="Whether sessions can be opened.")
    stream_ready: bool = Field(description="The same.")
    stream_mode: Mode | None = Field(description="Who speaks; null while nothing is loaded.")


class StreamStatus(SessionCounts):
    """The caller's sessions and the process that generates; there are no tasks."""

    service_status: Literal["idle", "active"] = Field(description="Whether a session is open.")
    current_task: None = Field(description="Null: there are no tasks.")
    current_tasks: list[str] = Field(description="Empty.", examples=[[]])
    processing_count: int = Field(description="0.", examples=[0])
    max_concurrent_processing: int = Field(description="1.", examples=[1])
    active_tasks: list[str] = Field(
        description="The caller's open sessions, the oldest first.", examples=[[WORLD]]
    )
    pending_tasks: int = Field(description="0.", examples=[0])
    queue_size: int = Field(description="As configured for tasks.", examples=[10])
    total_tasks: int = Field(description="0.", examples=[0])
    completed_tasks: int = Field(description="0.", examples=[0])
    failed_tasks: int = Field(description="0.", examples=[0])
    cancelled_tasks: int = Field(description="0.", examples=[0])
    effective_max_concurrent_tasks: int = Field(description="1.", examples=[1])
    configured_max_concurrent_tasks: int = Field(
        description="As configured for tasks.", examples=[1]
    )
    execution_mode: Literal["serial_single_pipeline"] = Field(description="One process generates.")
    pool: list[ReplicaView] = Field(description="The process.")


class DeviceMemory(Described):
    """What a phase of the start has taken of a device."""

    device: str = Field(description="The device.", examples=["cuda:0"])
    peak_allocated_bytes: int = Field(description="The most in use.", ge=0, examples=[8_000_000])
    peak_reserved_bytes: int = Field(description="The most that was held.", ge=0, examples=[9])


class StartPhase(Described):
    """A phase of the start."""

    name: str = Field(description="The phase.", examples=["pipeline_init"])
    seconds: float = Field(description="How long it took.", ge=0, examples=[12.5])
    memory: list[DeviceMemory] = Field(description="What it took of each device.")


class StartPerformance(Described):
    """How the service came to be."""

    phases: list[StartPhase] = Field(description="The phases of the start.")


class StreamMetadata(SessionCounts):
    """What the loaded pipeline is, and what it runs on."""

    service_type: Literal["stream"] = Field(description="That sessions are served.")
    stream_mode: Mode = Field(description="Who speaks: the pipeline alone, or both.")
    pipeline_file: str = Field(
        description="The pipeline's file, as it was named.", examples=["stream_moving_shapes.py"]
    )
    security_level: str = Field(description="How strictly files are checked.", examples=["STRICT"])
    runner: Literal["StreamPipelineService"] = Field(description="What runs the pipeline.")
    max_queue_size: int = Field(description="As configured for tasks.", examples=[10])
    default_fps: float = Field(
        description="Pictures of a second where nobody says otherwise.", examples=[24.0]
    )
    performance: StartPerformance = Field(description="What the start has taken.")
    environment: dict[str, Any] = Field(
        description="Versions of what the pipeline runs on, and its devices.",
        examples=[{"python_version": "3.11.9", "gpus": []}],
    )


class StreamMetrics(MetricsSummary):
    """The main metrics, those of sessions among them."""

    webrtc: SessionCounts = Field(description="The sessions.")


def offer_schemas() -> dict[str, Any]:
    """Returns the schema of the body that opens a session."""
    schemas = components([OfferBody])
    body = schemas["OfferBody"]
    for name, field in body["properties"].items():
        field.update(FIELDS[name])
    body["description"] = "A session that is wished for. Any other field reaches the pipeline."
    return schemas
