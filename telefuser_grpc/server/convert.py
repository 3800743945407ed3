"""Between the native wire types and the domain: the only module that knows both."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from telefuser_grpc._gen.telefuser.v1 import (
    artifact_pb2,
    contract_pb2,
    system_service_pb2,
    task_pb2,
    task_service_pb2,
)
from telefuser_grpc.domain.artifact import Artifact, Upload
from telefuser_grpc.domain.batching import Batching
from telefuser_grpc.domain.contract import PipelineContract, TaskContract
from telefuser_grpc.domain.kinds import INPUT_FIELDS
from telefuser_grpc.domain.parameter import Parameter
from telefuser_grpc.domain.queue import Queue
from telefuser_grpc.domain.replica import ReplicaStatus
from telefuser_grpc.domain.sizes import InputLimits
from telefuser_grpc.domain.task import (
    Preview,
    Progress,
    StateChange,
    Task,
    TaskError,
    TaskEvent,
    TaskState,
)
from telefuser_grpc.errors import InvalidFields, Violation
from telefuser_grpc.scheduler.admission import TaskRequest
from telefuser_grpc.scheduler.names import told_id
from telefuser_grpc.scheduler.ports import TaskQuery

TYPED_FIELDS = ("prompt", "negative_prompt", "seed", "task_id", "task")
STATE_NAMES = {state: f"TASK_STATE_{state.name}" for state in TaskState}
STATE_OF = {task_pb2.TaskState.Value(name): state for state, name in STATE_NAMES.items()}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
MAX_EXACT = 2**53  # beyond it a double skips integers


def task_request(request: task_service_pb2.CreateTaskRequest) -> TaskRequest:
    """Reads a CreateTask request.

    Raises:
        InvalidFields: A parameter has a field of its own or is no JSON, or an input has no source.
    """
    fields = dict(_parameters(request.parameters))
    fields |= {name: _source(name, each) for name, each in request.inputs.items()}
    if request.prompt:
        fields["prompt"] = request.prompt
    if request.negative_prompt:
        fields["negative_prompt"] = request.negative_prompt
    if request.HasField("seed"):
        fields["seed"] = request.seed
    return TaskRequest(
        fields=fields,
        kind=request.kind.strip().lower(),
        task_id=request.task_id,
        request_id=request.request_id,
    )


def task_query(request: task_service_pb2.ListTasksRequest) -> TaskQuery:
    """Reads a ListTasks request. Raises InvalidFields for a state that does not exist."""
    if any(state not in STATE_OF for state in request.states):
        raise InvalidFields([Violation("states", "names a state that does not exist", "enum")])
    return TaskQuery(
        states=tuple(STATE_OF[state] for state in request.states),
        kinds=tuple(request.kinds),
        page_size=min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE),
        page_token=request.page_token,
    )


def task(value: Task) -> task_pb2.Task:
    """Writes a task."""
    message = task_pb2.Task(
        task_id=value.id,
        kind=value.kind,
        state=STATE_NAMES[value.state],
        attempt=value.attempt,
        parameters=struct_of(value.fields),
        inputs={name: task_pb2.TaskInput(uri=path) for name, path in value.inputs.items()},
        artifacts=map(artifact, value.artifacts),
        last_sequence=value.sequence,
        create_time=timestamp(value.created_at),
        replica=value.replica,
        inference_seconds=value.inference_seconds,
        peak_memory_mib=value.peak_memory_mib,
    )
    if isinstance(seed := value.fields.get("seed"), int):
        message.seed = seed
    if value.progress:
        message.progress.CopyFrom(progress(value.progress))
    if value.error:
        message.error.CopyFrom(task_error(value.error))
    if value.started_at:
        message.start_time.CopyFrom(timestamp(value.started_at))
    if value.finished_at:
        message.finish_time.CopyFrom(timestamp(value.finished_at))
    return message


def event(value: TaskEvent) -> task_pb2.TaskEvent:
    """Writes an event."""
    message = task_pb2.TaskEvent(
        task_id=value.task_id,
        sequence=value.sequence,
        event_time=timestamp(value.time),
        attempt=value.attempt,
    )
    match value.change:
        case StateChange():
            message.state_change.CopyFrom(state_change(value.change))
        case Progress():
            message.progress.CopyFrom(progress(value.change))
        case Preview(step=step, image=image):
            message.preview.CopyFrom(
                task_pb2.Preview(step=step, image=image, content_type="image/jpeg")
            )
    return message


def state_change(value: StateChange) -> task_pb2.StateChange:
    """Writes a change of state."""
    return task_pb2.StateChange(
        state=STATE_NAMES[value.state],
        error=task_error(value.error) if value.error else None,
        artifacts=map(artifact, value.artifacts),
    )


def progress(value: Progress) -> task_pb2.Progress:
    """Writes progress."""
    return task_pb2.Progress(
        step=value.step,
        steps=value.steps,
        stage=value.stage,
        remaining_seconds=value.remaining_seconds,
    )


def task_error(value: TaskError) -> task_pb2.TaskError:
    """Writes why a task ended."""
    return task_pb2.TaskError(reason=f"ERROR_REASON_{value.reason}", message=value.message)


def artifact(value: Artifact) -> artifact_pb2.Artifact:
    """Writes an artifact."""
    return artifact_pb2.Artifact(
        artifact_id=value.id,
        task_id=told_id(value.task_id),
        filename=value.filename,
        content_type=value.facts.content_type,
        size_bytes=value.size_bytes,
        sha256=value.sha256,
        create_time=timestamp(value.created_at),
        width=value.facts.width,
        height=value.facts.height,
        frame_count=value.facts.frame_count,
        duration_seconds=value.facts.duration_seconds,
    )


def upload(value: Upload) -> artifact_pb2.Upload:
    """Writes an upload."""
    return artifact_pb2.Upload(
        upload_id=value.id,
        size_bytes=value.size_bytes,
        sha256=value.sha256,
        content_type=value.facts.content_type,
        create_time=timestamp(value.created_at),
    )


def queue(value: Queue) -> task_service_pb2.Queue:
    """Writes the queue."""
    return task_service_pb2.Queue(
        waiting=[
            task_service_pb2.QueuedTask(
                task_id=task_id,
                position=position,
                expected_start_time=timestamp(value.expected_starts[task_id])
                if task_id in value.expected_starts
                else None,
            )
            for position, task_id in enumerate(value.waiting, start=1)
        ],
        running=value.running,
        limit=value.limit,
        ended_count=value.ended_count,
    )


def contract(value: PipelineContract) -> contract_pb2.PipelineContract:
    """Writes a contract."""
    return contract_pb2.PipelineContract(
        contract_version=value.contract_version,
        pipeline_name=value.pipeline_name,
        declared=value.declared,
        tasks=map(_task_contract, value.tasks.values()),
    )


def replicas(values: Iterable[ReplicaStatus]) -> Sequence[system_service_pb2.Replica]:
    """Writes the state of replicas."""
    return [
        system_service_pb2.Replica(
            replica=value.id,
            state=f"REPLICA_STATE_{value.state.name}",
            devices=value.devices,
            task_id=value.task_id,
            task_ids=value.task_ids,
            restart_count=value.restarts,
            pid=value.pid,
            last_error=value.last_error,
        )
        for value in values
    ]


def timestamp(value: datetime) -> Timestamp:
    """Writes a point in time."""
    since = value - EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


def struct_of(fields: Mapping[str, Any]) -> Struct:
    """Writes free fields."""
    message = Struct()
    message.update(fields)
    return message


def free_fields(struct: Struct, place: str) -> dict[str, Any]:
    """Reads free fields. Raises InvalidFields, which names them by their place."""
    return {name: _plain(f"{place}.{name}", each) for name, each in struct.fields.items()}


def _task_contract(value: TaskContract) -> contract_pb2.TaskContract:
    exposed = (each for each in value.parameters.values() if each.exposed)
    return contract_pb2.TaskContract(
        kind=value.kind,
        media_type=value.media_type,
        required_inputs=value.required_inputs,
        optional_inputs=value.optional_inputs,
        parameters=map(_parameter, exposed),
        batching=_batching(value.batching) if value.batching else None,
        input_limits={name: _input_limits(each) for name, each in value.input_limits.items()},
        max_pixels=value.max_pixels,
    )


def _batching(value: Batching) -> contract_pb2.Batching:
    return contract_pb2.Batching(keys=value.keys, max_size=value.max_size)


def _input_limits(value: InputLimits) -> contract_pb2.InputLimits:
    return contract_pb2.InputLimits(**asdict(value))


def _parameter(value: Parameter) -> contract_pb2.Parameter:
    return contract_pb2.Parameter(
        name=value.name,
        type=value.type,
        required=value.required,
        default_value=json_format.ParseDict(value.default, Value()),
        description=value.description,
        enum_values=value.enum,
        minimum=value.minimum,
        maximum=value.maximum,
        min_length=value.min_length,
        max_length=value.max_length,
        pattern=value.pattern,
        unit=value.unit,
    )


def _parameters(struct: Struct) -> Mapping[str, Any]:
    """Reads free parameters."""
    taken = [name for name in TYPED_FIELDS if name in struct.fields]
    if taken:
        raise InvalidFields(
            [Violation(f"parameters.{n}", "has a field of its own; set that") for n in taken]
        )
    return free_fields(struct, "parameters")


def _plain(place: str, value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            return _number(place, value.number_value)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            fields = value.struct_value.fields
            return {name: _plain(place, each) for name, each in fields.items()}
        case "list_value":
            return [_plain(place, each) for each in value.list_value.values]
    return None


def _number(place: str, value: float) -> int | float:
    """Returns a whole number, which a `Struct` cannot tell apart, as an integer if it is exact."""
    if not math.isfinite(value):
        why = "must be a finite number"
        raise InvalidFields([Violation(place, why, "finite_number")])
    return int(value) if value.is_integer() and abs(value) <= MAX_EXACT else value


def _source(name: str, value: task_pb2.TaskInput) -> str:
    if name not in INPUT_FIELDS:
        why = f"is no input; use one of {', '.join(INPUT_FIELDS)}"
        raise InvalidFields([Violation(f"inputs.{name}", why, "extra_forbidden")])
    match value.WhichOneof("source"):
        case "upload_id":
            return f"upload:{value.upload_id}"
        case "uri":
            return value.uri
    raise InvalidFields([Violation(f"inputs.{name}", "needs an upload_id or a uri", "missing")])
