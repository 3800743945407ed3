"""Turns the service's messages into domain values."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from telefuser_grpc._gen.telefuser.v1 import (
    artifact_pb2,
    contract_pb2,
    error_pb2,
    session_service_pb2,
    system_service_pb2,
    task_pb2,
    task_service_pb2,
)
from telefuser_grpc.client.values import (
    PictureFormat,
    Queue,
    QueuedTask,
    ServiceMetadata,
    ServiceStatus,
    SessionChunk,
    SessionPicture,
)
from telefuser_grpc.domain.artifact import Artifact, MediaFacts, Upload
from telefuser_grpc.domain.batching import Batching
from telefuser_grpc.domain.contract import PipelineContract, TaskContract
from telefuser_grpc.domain.kinds import MediaType, default_media_type
from telefuser_grpc.domain.parameter import Parameter
from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.domain.session import Session, SessionState, Sound, StreamMode
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


def task(message: task_pb2.Task) -> Task:
    """Returns a task as the client knows it: without its owner, fingerprint and trace."""
    fields = plain(message.parameters)
    if message.HasField("seed"):
        fields["seed"] = message.seed
    return Task(
        id=message.task_id,
        kind=message.kind,
        created_at=_time(message.create_time),
        media_type=default_media_type(message.kind),
        fields=fields,
        inputs={name: each.upload_id or each.uri for name, each in message.inputs.items()},
        state=state(message.state),
        attempt=message.attempt,
        sequence=message.last_sequence,
        started_at=_time_or_none(message, "start_time"),
        finished_at=_time_or_none(message, "finish_time"),
        progress=_progress(message.progress) if message.HasField("progress") else None,
        error=_task_error(message.error) if message.HasField("error") else None,
        artifacts=_artifacts(message.artifacts),
        replica=message.replica if message.HasField("replica") else None,
        inference_seconds=_float_or_none(message, "inference_seconds"),
        peak_memory_mib=_float_or_none(message, "peak_memory_mib"),
    )


def event(message: task_pb2.TaskEvent) -> TaskEvent:
    """Returns an event of a task."""
    return TaskEvent(
        task_id=message.task_id,
        sequence=message.sequence,
        time=_time(message.event_time),
        attempt=message.attempt,
        change=_change(message),
    )


def artifact(message: artifact_pb2.Artifact) -> Artifact:
    """Returns a file that a task has made."""
    return Artifact(
        task_id=message.task_id,
        path=message.artifact_id.removeprefix("local:"),
        size_bytes=message.size_bytes,
        sha256=message.sha256,
        created_at=_time(message.create_time),
        facts=MediaFacts(
            content_type=message.content_type,
            width=message.width,
            height=message.height,
            frame_count=message.frame_count,
            duration_seconds=message.duration_seconds,
        ),
    )


def upload(message: artifact_pb2.Upload) -> Upload:
    """Returns a file that was sent."""
    return Upload(
        id=message.upload_id,
        size_bytes=message.size_bytes,
        sha256=message.sha256,
        created_at=_time(message.create_time),
        facts=MediaFacts(content_type=message.content_type),
    )


def queue(message: task_service_pb2.Queue) -> Queue:
    """Returns what waits and what runs."""
    waiting = tuple(
        QueuedTask(
            task_id=each.task_id,
            position=each.position,
            expected_start_at=_time_or_none(each, "expected_start_time"),
        )
        for each in message.waiting
    )
    return Queue(
        waiting=waiting,
        running=tuple(message.running),
        limit=message.limit,
        ended_count=message.ended_count,
    )


def status(message: system_service_pb2.GetStatusResponse) -> ServiceStatus:
    """Returns the counts and the replicas."""
    return ServiceStatus(
        pending_count=message.pending_count,
        processing_count=message.processing_count,
        queue_limit=message.queue_limit,
        completed_count=message.completed_count,
        failed_count=message.failed_count,
        cancelled_count=message.cancelled_count,
        replicas=tuple(map(_replica, message.replicas)),
    )


def metadata(message: system_service_pb2.GetMetadataResponse) -> ServiceMetadata:
    """Returns the contract and how much of it is served."""
    return ServiceMetadata(
        contract=_contract(message.contract),
        replica_count=message.replica_count,
        parallelism=message.parallelism,
        queue_limit=message.queue_limit,
    )


def session(message: session_service_pb2.Session) -> Session:
    """Returns a session, without its owner."""
    mode = session_service_pb2.SessionMode.Name(message.mode)
    state = session_service_pb2.SessionState.Name(message.state)
    return Session(
        id=message.id,
        mode=StreamMode[mode.removeprefix("SESSION_MODE_")],
        state=SessionState[state.removeprefix("SESSION_STATE_")],
        transport=message.transport,
        chunks=message.chunks,
    )


def session_chunk(message: session_service_pb2.SessionChunk) -> SessionChunk:
    """Returns a chunk of a session."""
    sound = message.sound
    return SessionChunk(
        index=message.index,
        pictures=tuple(map(_session_picture, message.pictures.pictures)),
        fps=message.pictures.fps or None,
        sound=Sound(pcm=sound.pcm, sample_rate=sound.sample_rate, channels=sound.channels)
        if message.HasField("sound")
        else None,
        data=plain(message.data),
    )


def state(value: task_pb2.TaskState) -> TaskState:
    """Returns the state that a number on the wire stands for."""
    return TaskState[task_pb2.TaskState.Name(value).removeprefix("TASK_STATE_")]


def plain(message: Message) -> Any:
    """Returns a Struct or Value as Python values, with whole numbers as integers."""
    return _whole(MessageToDict(message))


def _session_picture(message: session_service_pb2.SessionPicture) -> SessionPicture:
    name = session_service_pb2.PictureFormat.Name(message.format)
    return SessionPicture(
        content=message.content,
        format=PictureFormat(name.removeprefix("PICTURE_FORMAT_")),
        width=message.width,
        height=message.height,
    )


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return value


def _change(message: task_pb2.TaskEvent) -> StateChange | Progress | Preview:
    match message.WhichOneof("event"):
        case "progress":
            return _progress(message.progress)
        case "preview":
            return Preview(step=message.preview.step, image=message.preview.image)
        case _:
            return _state_change(message.state_change)


def _state_change(message: task_pb2.StateChange) -> StateChange:
    return StateChange(
        state=state(message.state),
        error=_task_error(message.error) if message.HasField("error") else None,
        artifacts=_artifacts(message.artifacts),
    )


def _progress(message: task_pb2.Progress) -> Progress:
    return Progress(
        step=message.step,
        steps=message.steps,
        stage=message.stage,
        remaining_seconds=_float_or_none(message, "remaining_seconds"),
    )


def _task_error(message: task_pb2.TaskError) -> TaskError:
    known = message.reason in error_pb2.ErrorReason.values()
    name = error_pb2.ErrorReason.Name(message.reason) if known else "INTERNAL"
    return TaskError(reason=name.removeprefix("ERROR_REASON_"), message=message.message)


def _artifacts(messages: Iterable[artifact_pb2.Artifact]) -> tuple[Artifact, ...]:
    return tuple(map(artifact, messages))


def _replica(message: system_service_pb2.Replica) -> ReplicaStatus:
    name = system_service_pb2.ReplicaState.Name(message.state)
    return ReplicaStatus(
        id=message.replica,
        state=ReplicaState[name.removeprefix("REPLICA_STATE_")],
        devices=tuple(message.devices),
        task_ids=tuple(message.task_ids),
        restarts=message.restart_count,
        pid=message.pid,
        last_error=message.last_error,
    )


def _contract(message: contract_pb2.PipelineContract) -> PipelineContract:
    return PipelineContract(
        pipeline_name=message.pipeline_name,
        tasks={each.kind: _task_contract(each) for each in message.tasks},
        contract_version=message.contract_version,
        declared=message.declared,
    )


def _task_contract(message: contract_pb2.TaskContract) -> TaskContract:
    return TaskContract(
        kind=message.kind,
        media_type=MediaType(message.media_type),
        required_inputs=tuple(message.required_inputs),
        optional_inputs=tuple(message.optional_inputs),
        parameters={each.name: _parameter(each) for each in message.parameters},
        batching=_batching(message.batching) if message.HasField("batching") else None,
        input_limits={name: _limits(each) for name, each in message.input_limits.items()},
        max_pixels=message.max_pixels if message.HasField("max_pixels") else None,
    )


def _batching(message: contract_pb2.Batching) -> Batching:
    return Batching(keys=tuple(message.keys), max_size=message.max_size)


def _limits(message: contract_pb2.InputLimits) -> InputLimits:
    return InputLimits(**{each.name: limit for each, limit in message.ListFields()})


def _parameter(message: contract_pb2.Parameter) -> Parameter:
    return Parameter(
        name=message.name,
        type=message.type,
        required=message.required,
        default=plain(message.default_value) if message.HasField("default_value") else None,
        description=message.description,
        enum=tuple(message.enum_values),
        minimum=_float_or_none(message, "minimum"),
        maximum=_float_or_none(message, "maximum"),
        min_length=message.min_length if message.HasField("min_length") else None,
        max_length=message.max_length if message.HasField("max_length") else None,
        pattern=message.pattern,
        unit=message.unit,
    )


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def _time_or_none(message: Message, name: str) -> datetime | None:
    return _time(getattr(message, name)) if message.HasField(name) else None


def _float_or_none(message: Message, name: str) -> float | None:
    return float(getattr(message, name)) if message.HasField(name) else None
