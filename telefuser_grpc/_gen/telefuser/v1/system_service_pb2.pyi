import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from telefuser_grpc._gen.telefuser.v1 import contract_pb2 as _contract_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReplicaState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLICA_STATE_UNSPECIFIED: _ClassVar[ReplicaState]
    REPLICA_STATE_STARTING: _ClassVar[ReplicaState]
    REPLICA_STATE_IDLE: _ClassVar[ReplicaState]
    REPLICA_STATE_BUSY: _ClassVar[ReplicaState]
    REPLICA_STATE_DEAD: _ClassVar[ReplicaState]
REPLICA_STATE_UNSPECIFIED: ReplicaState
REPLICA_STATE_STARTING: ReplicaState
REPLICA_STATE_IDLE: ReplicaState
REPLICA_STATE_BUSY: ReplicaState
REPLICA_STATE_DEAD: ReplicaState

class GetHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetHealthResponse(_message.Message):
    __slots__ = ("version", "ready", "server_time")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    version: str
    ready: bool
    server_time: _timestamp_pb2.Timestamp
    def __init__(self, version: _Optional[str] = ..., ready: _Optional[bool] = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetReadinessRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetReadinessResponse(_message.Message):
    __slots__ = ("ready", "message")
    READY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ready: bool
    message: str
    def __init__(self, ready: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("pending_count", "processing_count", "queue_limit", "completed_count", "failed_count", "cancelled_count", "replicas")
    PENDING_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    pending_count: int
    processing_count: int
    queue_limit: int
    completed_count: int
    failed_count: int
    cancelled_count: int
    replicas: _containers.RepeatedCompositeFieldContainer[Replica]
    def __init__(self, pending_count: _Optional[int] = ..., processing_count: _Optional[int] = ..., queue_limit: _Optional[int] = ..., completed_count: _Optional[int] = ..., failed_count: _Optional[int] = ..., cancelled_count: _Optional[int] = ..., replicas: _Optional[_Iterable[_Union[Replica, _Mapping]]] = ...) -> None: ...

class Replica(_message.Message):
    __slots__ = ("replica", "state", "devices", "task_id", "restart_count", "pid", "last_error", "task_ids")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    RESTART_COUNT_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    replica: int
    state: ReplicaState
    devices: _containers.RepeatedScalarFieldContainer[str]
    task_id: str
    restart_count: int
    pid: int
    last_error: str
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, replica: _Optional[int] = ..., state: _Optional[_Union[ReplicaState, str]] = ..., devices: _Optional[_Iterable[str]] = ..., task_id: _Optional[str] = ..., restart_count: _Optional[int] = ..., pid: _Optional[int] = ..., last_error: _Optional[str] = ..., task_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class GetMetadataRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetMetadataResponse(_message.Message):
    __slots__ = ("contract", "replica_count", "parallelism", "queue_limit")
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    REPLICA_COUNT_FIELD_NUMBER: _ClassVar[int]
    PARALLELISM_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    contract: _contract_pb2.PipelineContract
    replica_count: int
    parallelism: int
    queue_limit: int
    def __init__(self, contract: _Optional[_Union[_contract_pb2.PipelineContract, _Mapping]] = ..., replica_count: _Optional[int] = ..., parallelism: _Optional[int] = ..., queue_limit: _Optional[int] = ...) -> None: ...
