"""What an operator decides about connections."""

from dataclasses import dataclass, field
from typing import Literal

Codec = Literal["H264", "VP8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRtcOptions:
    """How connections are made, and how long they are waited for.

    Attributes:
        codec: The one that is offered first; the other is spoken too.
        bitrate: Bits per second of the video of one connection.
        buffer_seconds: Video that waits to be shown; where more comes, the oldest is dropped.
        data_channel_timeout_seconds: How long a client may take to open its data channel.
        disconnected_grace_seconds: How long a connection that was lost may take to come back.
        stun_servers: Such as `stun:stun.example.org:3478`; the first that can be used is asked.
        turn_server: Such as `turn:turn.example.org:3478?transport=udp`.
    """

    codec: Codec = "H264"
    bitrate: int = 8_000_000
    buffer_seconds: float = 1.0
    data_channel_timeout_seconds: float = 10.0
    disconnected_grace_seconds: float = 5.0
    stun_servers: tuple[str, ...] = ()
    turn_server: str | None = None
    turn_username: str | None = None
    turn_credential: str | None = field(default=None, repr=False)
