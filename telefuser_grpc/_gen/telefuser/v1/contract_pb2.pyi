from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PipelineContract(_message.Message):
    __slots__ = ("contract_version", "pipeline_name", "declared", "tasks")
    CONTRACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_NAME_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    contract_version: str
    pipeline_name: str
    declared: bool
    tasks: _containers.RepeatedCompositeFieldContainer[TaskContract]
    def __init__(self, contract_version: _Optional[str] = ..., pipeline_name: _Optional[str] = ..., declared: _Optional[bool] = ..., tasks: _Optional[_Iterable[_Union[TaskContract, _Mapping]]] = ...) -> None: ...

class TaskContract(_message.Message):
    __slots__ = ("kind", "media_type", "required_inputs", "optional_inputs", "parameters", "batching", "input_limits", "max_pixels")
    class InputLimitsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: InputLimits
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[InputLimits, _Mapping]] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_INPUTS_FIELD_NUMBER: _ClassVar[int]
    OPTIONAL_INPUTS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    BATCHING_FIELD_NUMBER: _ClassVar[int]
    INPUT_LIMITS_FIELD_NUMBER: _ClassVar[int]
    MAX_PIXELS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    media_type: str
    required_inputs: _containers.RepeatedScalarFieldContainer[str]
    optional_inputs: _containers.RepeatedScalarFieldContainer[str]
    parameters: _containers.RepeatedCompositeFieldContainer[Parameter]
    batching: Batching
    input_limits: _containers.MessageMap[str, InputLimits]
    max_pixels: int
    def __init__(self, kind: _Optional[str] = ..., media_type: _Optional[str] = ..., required_inputs: _Optional[_Iterable[str]] = ..., optional_inputs: _Optional[_Iterable[str]] = ..., parameters: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ..., batching: _Optional[_Union[Batching, _Mapping]] = ..., input_limits: _Optional[_Mapping[str, InputLimits]] = ..., max_pixels: _Optional[int] = ...) -> None: ...

class InputLimits(_message.Message):
    __slots__ = ("max_aspect_ratio", "max_pixels", "max_frames", "max_seconds")
    MAX_ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_PIXELS_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_SECONDS_FIELD_NUMBER: _ClassVar[int]
    max_aspect_ratio: float
    max_pixels: int
    max_frames: int
    max_seconds: float
    def __init__(self, max_aspect_ratio: _Optional[float] = ..., max_pixels: _Optional[int] = ..., max_frames: _Optional[int] = ..., max_seconds: _Optional[float] = ...) -> None: ...

class Batching(_message.Message):
    __slots__ = ("keys", "max_size")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    MAX_SIZE_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    max_size: int
    def __init__(self, keys: _Optional[_Iterable[str]] = ..., max_size: _Optional[int] = ...) -> None: ...

class Parameter(_message.Message):
    __slots__ = ("name", "type", "required", "default_value", "description", "enum_values", "minimum", "maximum", "min_length", "max_length", "pattern", "unit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ENUM_VALUES_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    MIN_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_LENGTH_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    required: bool
    default_value: _struct_pb2.Value
    description: str
    enum_values: _containers.RepeatedScalarFieldContainer[str]
    minimum: float
    maximum: float
    min_length: int
    max_length: int
    pattern: str
    unit: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., required: _Optional[bool] = ..., default_value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., description: _Optional[str] = ..., enum_values: _Optional[_Iterable[str]] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., min_length: _Optional[int] = ..., max_length: _Optional[int] = ..., pattern: _Optional[str] = ..., unit: _Optional[str] = ...) -> None: ...
