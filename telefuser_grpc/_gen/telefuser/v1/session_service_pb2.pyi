from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PictureFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PICTURE_FORMAT_UNSPECIFIED: _ClassVar[PictureFormat]
    PICTURE_FORMAT_JPEG: _ClassVar[PictureFormat]
    PICTURE_FORMAT_PNG: _ClassVar[PictureFormat]
    PICTURE_FORMAT_RGB: _ClassVar[PictureFormat]

class SessionMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_MODE_UNSPECIFIED: _ClassVar[SessionMode]
    SESSION_MODE_SERVER_PUSH: _ClassVar[SessionMode]
    SESSION_MODE_BIDIRECTIONAL: _ClassVar[SessionMode]

class SessionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STATE_UNSPECIFIED: _ClassVar[SessionState]
    SESSION_STATE_CONNECTING: _ClassVar[SessionState]
    SESSION_STATE_ACTIVE: _ClassVar[SessionState]
PICTURE_FORMAT_UNSPECIFIED: PictureFormat
PICTURE_FORMAT_JPEG: PictureFormat
PICTURE_FORMAT_PNG: PictureFormat
PICTURE_FORMAT_RGB: PictureFormat
SESSION_MODE_UNSPECIFIED: SessionMode
SESSION_MODE_SERVER_PUSH: SessionMode
SESSION_MODE_BIDIRECTIONAL: SessionMode
SESSION_STATE_UNSPECIFIED: SessionState
SESSION_STATE_CONNECTING: SessionState
SESSION_STATE_ACTIVE: SessionState

class InteractRequest(_message.Message):
    __slots__ = ("open", "control", "data", "pictures", "sound", "stop")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    SOUND_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    open: SessionOpening
    control: _struct_pb2.Struct
    data: bytes
    pictures: SessionPictures
    sound: SessionSound
    stop: SessionStop
    def __init__(self, open: _Optional[_Union[SessionOpening, _Mapping]] = ..., control: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., data: _Optional[bytes] = ..., pictures: _Optional[_Union[SessionPictures, _Mapping]] = ..., sound: _Optional[_Union[SessionSound, _Mapping]] = ..., stop: _Optional[_Union[SessionStop, _Mapping]] = ...) -> None: ...

class SessionOpening(_message.Message):
    __slots__ = ("session_id", "config", "picture_format")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    config: _struct_pb2.Struct
    picture_format: PictureFormat
    def __init__(self, session_id: _Optional[str] = ..., config: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., picture_format: _Optional[_Union[PictureFormat, str]] = ...) -> None: ...

class SessionPictures(_message.Message):
    __slots__ = ("pictures", "fps")
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    pictures: _containers.RepeatedCompositeFieldContainer[SessionPicture]
    fps: float
    def __init__(self, pictures: _Optional[_Iterable[_Union[SessionPicture, _Mapping]]] = ..., fps: _Optional[float] = ...) -> None: ...

class SessionPicture(_message.Message):
    __slots__ = ("width", "height", "content", "format")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    content: bytes
    format: PictureFormat
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., content: _Optional[bytes] = ..., format: _Optional[_Union[PictureFormat, str]] = ...) -> None: ...

class SessionSound(_message.Message):
    __slots__ = ("pcm", "sample_rate", "channels")
    PCM_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    pcm: bytes
    sample_rate: int
    channels: int
    def __init__(self, pcm: _Optional[bytes] = ..., sample_rate: _Optional[int] = ..., channels: _Optional[int] = ...) -> None: ...

class SessionStop(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InteractResponse(_message.Message):
    __slots__ = ("opened", "chunk", "done")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    opened: SessionOpened
    chunk: SessionChunk
    done: SessionDone
    def __init__(self, opened: _Optional[_Union[SessionOpened, _Mapping]] = ..., chunk: _Optional[_Union[SessionChunk, _Mapping]] = ..., done: _Optional[_Union[SessionDone, _Mapping]] = ...) -> None: ...

class SessionOpened(_message.Message):
    __slots__ = ("session", "fps")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    FPS_FIELD_NUMBER: _ClassVar[int]
    session: Session
    fps: float
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ..., fps: _Optional[float] = ...) -> None: ...

class SessionChunk(_message.Message):
    __slots__ = ("index", "pictures", "sound", "data")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    SOUND_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    index: int
    pictures: SessionPictures
    sound: SessionSound
    data: _struct_pb2.Struct
    def __init__(self, index: _Optional[int] = ..., pictures: _Optional[_Union[SessionPictures, _Mapping]] = ..., sound: _Optional[_Union[SessionSound, _Mapping]] = ..., data: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class SessionDone(_message.Message):
    __slots__ = ("chunks",)
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    chunks: int
    def __init__(self, chunks: _Optional[int] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("id", "mode", "state", "transport", "chunks")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    id: str
    mode: SessionMode
    state: SessionState
    transport: str
    chunks: int
    def __init__(self, id: _Optional[str] = ..., mode: _Optional[_Union[SessionMode, str]] = ..., state: _Optional[_Union[SessionState, str]] = ..., transport: _Optional[str] = ..., chunks: _Optional[int] = ...) -> None: ...

class OfferSessionRequest(_message.Message):
    __slots__ = ("sdp", "session_id", "config")
    SDP_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    sdp: str
    session_id: str
    config: _struct_pb2.Struct
    def __init__(self, sdp: _Optional[str] = ..., session_id: _Optional[str] = ..., config: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class OfferSessionResponse(_message.Message):
    __slots__ = ("session_id", "sdp")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SDP_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    sdp: str
    def __init__(self, session_id: _Optional[str] = ..., sdp: _Optional[str] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class GetSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class ListSessionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSessionsResponse(_message.Message):
    __slots__ = ("sessions",)
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[Session]
    def __init__(self, sessions: _Optional[_Iterable[_Union[Session, _Mapping]]] = ...) -> None: ...

class CloseSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class CloseSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
