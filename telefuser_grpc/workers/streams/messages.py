"""What the server and the stream process tell each other.

    server to process   when
    Load                once, first of all
    Create              opens a number for a session of a bidirectional service
    Serve               opens a number for a request to a server-push service
    Pull                once after Created: let the chunks come
    Push                after Created; in order, and at most PUSH_WINDOW ahead of Heard
    Taken               the oldest chunk was taken, there is room for another
    Close               ends what the number stands for, whatever it does; too late is no error
    Ping                any time; asks for a sign of life
    Shutdown            close all sessions, stop the service, then exit

    process to server   when
    Loaded              the service has started
    LoadFailed          it could not be; the process exits
    Pong                after a Ping, at once, whatever else it does
    Created, Refused    after Create
    Heard               after a Push, when the pipeline has it
    Told                any time after Created: what went wrong beside the output
    Shown               a picture of the chunk that Made ends
    Made                after Pull or Serve, while less than a window is not Taken yet
    Ended               once, after Pull or Serve: no chunk will come
    Closed              after Close, after Refused, or where Serve has Ended; what comes later is of
                        no interest

A number stands for one session, is chosen by the server and never used twice. JSON that clients
and pipelines write travels as text inside of frames: its numbers may be of any size. The end of
file is the other side's death.
"""

from enum import StrEnum

import msgspec

from telefuser_grpc.domain.session import ClientMedia, Picture, Sound, StreamFacts
from telefuser_grpc.pipeline.options import ModelOptions

CHUNK_WINDOW = 4
CHUNK_WINDOW_BYTES = 64 * 2**20
"""How much of a session's chunks may wait, unless a single one is larger."""
PUSH_WINDOW = 8


class Refusal(StrEnum):
    """Why a session was not created: because of its configuration, of others, or of a fault."""

    REJECTED = "rejected"
    CONFLICT = "conflict"
    FAILED = "failed"


class Load(msgspec.Struct, frozen=True, tag=True):
    """Load this file."""

    file: str
    gpu_num: int
    options: ModelOptions = ModelOptions()
    media_roots: tuple[str, ...] = ()


class Create(msgspec.Struct, frozen=True, tag=True):
    """Begin a session; `config` is JSON."""

    number: int
    config: bytes


class Serve(msgspec.Struct, frozen=True, tag=True):
    """Make chunks for a request, which is JSON."""

    number: int
    request: bytes


class Pull(msgspec.Struct, frozen=True, tag=True):
    """Let the chunks of a session come."""

    number: int


class Push(msgspec.Struct, frozen=True, tag=True):
    """Hand this to the pipeline: one of JSON, bytes and media."""

    number: int
    json: bytes = b""
    data: bytes | None = None
    media: ClientMedia | None = None


class Taken(msgspec.Struct, frozen=True, tag=True):
    """A chunk was taken."""

    number: int


class Close(msgspec.Struct, frozen=True, tag=True):
    """End this."""

    number: int


class Ping(msgspec.Struct, frozen=True, tag=True):
    """Tell that you are there."""


class Shutdown(msgspec.Struct, frozen=True, tag=True):
    """Exit when all is closed."""


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """The service has started."""

    facts: StreamFacts


class LoadFailed(msgspec.Struct, frozen=True, tag=True):
    """The service cannot be started, for a reason that people may read."""

    message: str


class Pong(msgspec.Struct, frozen=True, tag=True):
    """Here I am."""


class Created(msgspec.Struct, frozen=True, tag=True):
    """The session has begun, and this is its id."""

    number: int
    session_id: str


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The session was not created, for a reason that its client may read."""

    number: int
    refusal: Refusal
    message: str


class Heard(msgspec.Struct, frozen=True, tag=True):
    """The pipeline has the oldest push."""

    number: int


class Told(msgspec.Struct, frozen=True, tag=True):
    """A client shall know this, which is JSON; no chunk is counted."""

    number: int
    data: bytes


class Shown(msgspec.Struct, frozen=True, tag=True):
    """The next picture of a chunk."""

    number: int
    picture: Picture


class Made(msgspec.Struct, frozen=True, tag=True):
    """A chunk, after its pictures; `data` is JSON."""

    number: int
    index: int
    fps: float | None
    sound: Sound | None
    data: bytes


class Ended(msgspec.Struct, frozen=True, tag=True):
    """No chunk will come, because of an error unless that is empty."""

    number: int
    error: str = ""


class Closed(msgspec.Struct, frozen=True, tag=True):
    """Nothing more is done for this number."""

    number: int


FromServer = Load | Create | Serve | Pull | Push | Taken | Close | Ping | Shutdown
AboutSession = Created | Refused | Heard | Told | Shown | Made | Ended | Closed
FromProcess = Loaded | LoadFailed | Pong | AboutSession
