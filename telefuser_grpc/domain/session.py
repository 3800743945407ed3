"""What goes through a session: an open stream between a client and a pipeline that keeps state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

DEFAULT_FPS = 24.0


class StreamMode(StrEnum):
    """Who speaks in a session: the pipeline alone, or both."""

    SERVER_PUSH = "server_push"
    BIDIRECTIONAL = "bidirectional"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One frame: `rgb` has 3 bytes for each pixel, row by row from the top, without padding."""

    width: int
    height: int
    rgb: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A piece of sound: `pcm` has signed 16 bit little-endian samples, channels interleaved."""

    pcm: bytes
    sample_rate: int = 48_000
    channels: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What a pipeline has made next.

    Attributes:
        index: Its number as the pipeline counts; -1 for pictures that come before the first.
        fps: The pictures of a second, where the pipeline says so.
        data: Everything else that it tells of the chunk, as JSON; never the media themselves.
    """

    index: int = 0
    fps: float | None = None
    pictures: tuple[Picture, ...] = ()
    sound: Sound | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMedia:
    """What a client's camera or microphone has recorded: pictures or sound."""

    pictures: tuple[Picture, ...] = ()
    sound: Sound | None = None


ClientMessage = Mapping[str, Any] | bytes | ClientMedia
"""What a client says: a JSON object, bytes that only the pipeline understands, or media."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of the start of a stream service: its seconds, and peak bytes by device."""

    name: str
    seconds: float
    memory: tuple["DevicePeak", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePeak:
    """The most bytes that a device had allocated and reserved in a phase."""

    device: str
    peak_allocated_bytes: int
    peak_reserved_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """What a loaded stream service tells of itself.

    Attributes:
        default_fps: The pictures of a second where neither request nor chunk says so.
        environment: Versions and devices of the process that it runs in, as JSON.
    """

    mode: StreamMode
    default_fps: float = DEFAULT_FPS
    phases: tuple[Phase, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)


class SessionState(StrEnum):
    """Where a session is in its life."""

    CONNECTING = "connecting"
    ACTIVE = "active"
    CLOSED = "closed"


class CloseCause(StrEnum):
    """Why a session has ended."""

    CLIENT = "client"
    """The client has said stop, or has closed its end."""
    CONNECTION = "connection"
    """The connection was lost, or never came to be."""
    DATA_CHANNEL_TIMEOUT = "data_channel_timeout"
    """The client opened no data channel in time."""
    OUTPUT = "output"
    """The pipeline has nothing more to say, on a connection that ends with it."""
    REQUEST = "request"
    """Somebody asked for the end by the session's id."""
    PIPELINE = "pipeline"
    """The pipeline failed, or its process died."""
    REVOKED = "revoked"
    """The key that it was opened with does not hold any more."""
    SHUTDOWN = "shutdown"
    """The server stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session as others see it.

    Attributes:
        id: The pipeline's own id of it where the pipeline gives one.
        owner: The caller that it belongs to, "" where callers are not known.
        transport: What it runs over: `webrtc` or `grpc`.
    """

    id: str
    mode: StreamMode
    state: SessionState
    owner: str = ""
    transport: str = "grpc"
    chunks: int = 0
