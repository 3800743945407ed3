"""What both kinds of live session say and are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.struct_pb2 import Struct

from telefuser_grpc._gen.telefuser.v1 import session_service_pb2 as pb
from telefuser_grpc.client import _convert
from telefuser_grpc.client.values import (
    PictureFormat,
    SessionChunk,
    SessionMessage,
    SessionPicture,
)
from telefuser_grpc.domain.session import Session, Sound

STOP = pb.InteractRequest(stop=pb.SessionStop())


@dataclass(frozen=True, slots=True)
class Opened:
    """How a session was opened."""

    session: Session
    fps: float


@dataclass(frozen=True, slots=True)
class Done:
    """The session's end, after so many chunks with pictures."""

    chunks: int


def opening_request(
    config: Mapping[str, Any], *, session_id: str, picture_format: PictureFormat
) -> pb.InteractRequest:
    """Returns the first message of a session."""
    wish = pb.SessionOpening(
        session_id=session_id,
        config=_struct(config),
        picture_format=f"PICTURE_FORMAT_{PictureFormat(picture_format).name}",
    )
    return pb.InteractRequest(open=wish)


def request_of(message: SessionMessage) -> pb.InteractRequest:
    """Returns what a client says."""
    match message:
        case Mapping():
            return pb.InteractRequest(control=_struct(message))
        case bytes():
            return pb.InteractRequest(data=message)
        case Sound(pcm=pcm, sample_rate=rate, channels=channels):
            sound = pb.SessionSound(pcm=pcm, sample_rate=rate, channels=channels)
            return pb.InteractRequest(sound=sound)
    return pb.InteractRequest(pictures=_pictures(message))


def told(response: pb.InteractResponse) -> Opened | SessionChunk | Done:
    """Returns what a client is told."""
    match response.WhichOneof("message"):
        case "opened":
            return Opened(_convert.session(response.opened.session), response.opened.fps)
        case "chunk":
            return _convert.session_chunk(response.chunk)
    return Done(response.done.chunks)


def _struct(fields: Mapping[str, Any]) -> Struct:
    struct = Struct()
    struct.update(fields)
    return struct


def _pictures(pictures: Sequence[SessionPicture]) -> pb.SessionPictures:
    return pb.SessionPictures(
        pictures=[
            pb.SessionPicture(
                width=each.width,
                height=each.height,
                content=each.content,
                format=f"PICTURE_FORMAT_{each.format.name}",
            )
            for each in pictures
        ]
    )
