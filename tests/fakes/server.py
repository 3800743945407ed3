"""A service that plays a script: the real wire on a real port, without a scheduler behind it.

Tests say what each task's events are, where streams are cut and which calls fail.
"""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc
from google.protobuf import any_pb2, duration_pb2, timestamp_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from telefuser_grpc._gen.telefuser.v1 import (
    artifact_pb2,
    artifact_service_pb2,
    artifact_service_pb2_grpc,
    contract_pb2,
    system_service_pb2,
    system_service_pb2_grpc,
    task_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
)
from telefuser_grpc.errors import (
    ArtifactNotFound,
    ChecksumMismatch,
    TaskNotFound,
    TeleFuserError,
    Unavailable,
)

TIME = timestamp_pb2.Timestamp(seconds=1_700_000_000)
VIDEO = b"a video, as far as a client can tell " * 20_000
TERMINAL = (
    task_pb2.TASK_STATE_COMPLETED,
    task_pb2.TASK_STATE_FAILED,
    task_pb2.TASK_STATE_CANCELLED,
)


class FakeServer:
    """Serves the native API on a free port of the loopback interface.

    Attributes:
        requests: Every request received, by method.
        failures: Errors that the next calls of a method end with, by method.
        stalls: What the calls of a method wait for, by method.
        cuts: For each stream in turn, after how many messages it breaks; None for never.
        breaks_quietly: Whether a broken stream looks like one that has ended.
        script: What happens to a task that is created.
        sent: What a download has sent, by artifact, each call's bytes.
    """

    def __init__(self) -> None:
        self.requests: dict[str, list[Any]] = defaultdict(list)
        self.failures: dict[str, list[TeleFuserError]] = defaultdict(list)
        self.stalls: dict[str, threading.Event] = {}
        self.cuts: list[int | None] = []
        self.breaks_quietly = False
        self.script: list[task_pb2.TaskEvent] = completed_script(steps=3)
        self.tasks: dict[str, task_pb2.Task] = {}
        self.events: dict[str, list[task_pb2.TaskEvent]] = defaultdict(list)
        self.changed = threading.Condition()
        self.artifacts: dict[str, tuple[artifact_pb2.Artifact, bytes]] = {}
        self.uploads: dict[str, bytes] = {}
        self.sent: list[int] = []
        self.metadata: list[dict[str, str]] = []
        self.is_ready = True
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serves, on the port of before if there was one."""
        self._threads = ThreadPoolExecutor(max_workers=16)
        self._server = grpc.server(self._threads, options=[("grpc.so_reuseport", 0)])
        task_service_pb2_grpc.add_TaskServiceServicer_to_server(_Tasks(self), self._server)
        artifact_service_pb2_grpc.add_ArtifactServiceServicer_to_server(
            _Artifacts(self), self._server
        )
        system_service_pb2_grpc.add_SystemServiceServicer_to_server(_System(self), self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self) -> None:
        """Ends every call and frees the port."""
        self._server.stop(grace=None).wait()
        self._threads.shutdown()

    def add_task(
        self, task_id: str, script: Sequence[task_pb2.TaskEvent] = (), **fields: Any
    ) -> task_pb2.Task:
        """Has a task to which the script has happened."""
        self.tasks[task_id] = task_pb2.Task(
            **{"task_id": task_id, "kind": "t2v", "create_time": TIME} | fields
        )
        for event in script or [state_event(task_pb2.TASK_STATE_PENDING)]:
            self.emit(task_id, event)
        return self.task(task_id)

    def emit(self, task_id: str, event: task_pb2.TaskEvent) -> None:
        """Lets one more thing happen to a task, for everybody who watches."""
        with self.changed:
            numbered = task_pb2.TaskEvent(
                task_id=task_id, sequence=len(self.events[task_id]) + 1, event_time=TIME, attempt=1
            )
            numbered.MergeFrom(event)
            self.events[task_id].append(numbered)
            for artifact in numbered.state_change.artifacts:
                artifact.CopyFrom(self.add_artifact(task_id, artifact.filename, VIDEO))
            self.changed.notify_all()

    def add_artifact(
        self, task_id: str, filename: str, content: bytes, **promised: Any
    ) -> artifact_pb2.Artifact:
        """Has a file; `promised` overrides what is truly said of it."""
        facts: dict[str, Any] = {
            "artifact_id": f"local:tasks/{task_id}/outputs/videos/{filename}",
            "task_id": task_id,
            "filename": filename,
            "content_type": "video/mp4",
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "create_time": TIME,
        }
        artifact = artifact_pb2.Artifact(**facts | promised)
        self.artifacts[artifact.artifact_id] = (artifact, content)
        return artifact

    def task(self, task_id: str) -> task_pb2.Task:
        """Returns a task as its events have made it."""
        if task_id not in self.tasks:
            raise TaskNotFound(task_id)
        task = task_pb2.Task()
        task.CopyFrom(self.tasks[task_id])
        for event in self.events[task_id]:
            _apply(event, task)
        return task

    def receive(self, method: str, request: Any, context: grpc.ServicerContext) -> None:
        """Notes a request, and fails it when a failure is due."""
        self.requests[method].append(request)
        if method in self.stalls:
            self.stalls[method].wait()
        self.metadata.append({key: str(value) for key, value in context.invocation_metadata()})
        if self.failures[method]:
            raise self.failures[method].pop(0)

    def next_cut(self) -> int | None:
        """Returns after how many messages the stream that now begins shall break."""
        return self.cuts.pop(0) if self.cuts else None


def state_event(
    state: task_pb2.TaskState,
    *,
    artifacts: Sequence[str] = (),
    error: task_pb2.TaskError | None = None,
) -> task_pb2.TaskEvent:
    """A change of state; artifacts by their file names."""
    made = [artifact_pb2.Artifact(filename=name) for name in artifacts]
    change = task_pb2.StateChange(state=state, artifacts=made, error=error)
    return task_pb2.TaskEvent(state_change=change)


def progress_event(step: int, steps: int) -> task_pb2.TaskEvent:
    """A step that was done."""
    return task_pb2.TaskEvent(
        progress=task_pb2.Progress(step=step, steps=steps, stage="denoising", remaining_seconds=1.5)
    )


def completed_script(steps: int) -> list[task_pb2.TaskEvent]:
    """The life of a task that makes `video.mp4`."""
    return [
        state_event(task_pb2.TASK_STATE_PENDING),
        state_event(task_pb2.TASK_STATE_PROCESSING),
        *(progress_event(step, steps) for step in range(1, steps + 1)),
        state_event(task_pb2.TASK_STATE_COMPLETED, artifacts=["video.mp4"]),
    ]


def lost_connection() -> Unavailable:
    """A failure as a gateway reports it: a code without details."""
    return Unavailable("connection lost")


def _apply(event: task_pb2.TaskEvent, task: task_pb2.Task) -> None:
    task.last_sequence = event.sequence
    if event.HasField("progress"):
        task.progress.CopyFrom(event.progress)
    if event.HasField("state_change"):
        task.state = event.state_change.state
        task.artifacts.extend(event.state_change.artifacts)
        if event.state_change.HasField("error"):
            task.error.CopyFrom(event.state_change.error)


def _fail(error: TeleFuserError, context: grpc.ServicerContext) -> None:
    if type(error) is Unavailable:
        context.abort(grpc.StatusCode.UNAVAILABLE, error.message)
    details: list[Any] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason, domain="telefuser", metadata=error.metadata
        )
    ]
    if error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=each.field, description=each.message, reason=each.type.upper()
            )
            for each in error.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after_seconds * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code_pb2.Code.Value(error.code), message=error.message)
    for each in details:
        packed = any_pb2.Any()
        packed.Pack(each)
        status.details.append(packed)
    context.abort_with_status(rpc_status.to_status(status))


class _Service:
    def __init__(self, fake: FakeServer) -> None:
        self._fake = fake

    def _answer(self, method: str, request: Any, context: Any, answer: Any) -> Any:
        try:
            self._fake.receive(method, request, context)
            return answer()
        except TeleFuserError as error:
            return _fail(error, context)

    def _cut(self, responses: Iterator[Any], context: Any) -> Iterator[Any]:
        cut = self._fake.next_cut()
        for count, response in enumerate(responses):
            if count == cut and self._fake.breaks_quietly:
                return
            if count == cut:
                context.abort(grpc.StatusCode.UNAVAILABLE, "stream cut")
            yield response


class _Tasks(_Service, task_service_pb2_grpc.TaskServiceServicer):
    def CreateTask(self, request: Any, context: Any) -> Any:
        def answer() -> Any:
            task_id = request.task_id or f"task_{len(self._fake.tasks) + 1}"
            task = self._fake.add_task(
                task_id,
                self._fake.script,
                kind=request.kind or "t2v",
                parameters=request.parameters,
                inputs=request.inputs,
            )
            return task_service_pb2.CreateTaskResponse(task=task)

        return self._answer("CreateTask", request, context, answer)

    def GetTask(self, request: Any, context: Any) -> Any:
        return self._answer(
            "GetTask",
            request,
            context,
            lambda: task_service_pb2.GetTaskResponse(task=self._fake.task(request.task_id)),
        )

    def ListTasks(self, request: Any, context: Any) -> Any:
        def answer() -> Any:
            tasks = [self._fake.task(task_id) for task_id in reversed(self._fake.tasks)]
            wanted = [each for each in tasks if not request.states or each.state in request.states]
            begin = int(request.page_token or 0)
            end = begin + (request.page_size or 50)
            return task_service_pb2.ListTasksResponse(
                tasks=wanted[begin:end], next_page_token=str(end) if end < len(wanted) else ""
            )

        return self._answer("ListTasks", request, context, answer)

    def CancelTask(self, request: Any, context: Any) -> Any:
        def answer() -> Any:
            self._fake.task(request.task_id)
            self._fake.emit(request.task_id, state_event(task_pb2.TASK_STATE_CANCELLED))
            return task_service_pb2.CancelTaskResponse(task=self._fake.task(request.task_id))

        return self._answer("CancelTask", request, context, answer)

    def DeleteTask(self, request: Any, context: Any) -> Any:
        def answer() -> Any:
            self._fake.task(request.task_id)
            del self._fake.tasks[request.task_id]
            return task_service_pb2.DeleteTaskResponse()

        return self._answer("DeleteTask", request, context, answer)

    def WatchTask(self, request: Any, context: Any) -> Any:
        self._answer("WatchTask", request, context, lambda: self._fake.task(request.task_id))
        yield from self._cut(self._events(request, context), context)

    def _events(self, request: Any, context: Any) -> Iterator[Any]:
        context.add_callback(self._wake)
        sequence = request.after_sequence
        while not self._is_told(request.task_id, sequence):
            for event in self._after(request.task_id, sequence, context):
                sequence = event.sequence
                if not (request.omit_previews and event.HasField("preview")):
                    yield task_service_pb2.WatchTaskResponse(event=event)
                if event.state_change.state in TERMINAL:
                    return
            if not context.is_active():
                return

    def _is_told(self, task_id: str, sequence: int) -> bool:
        is_last = sequence >= len(self._fake.events[task_id])
        return is_last and self._fake.task(task_id).state in TERMINAL

    def _after(self, task_id: str, sequence: int, context: Any) -> list[task_pb2.TaskEvent]:
        with self._fake.changed:
            self._fake.changed.wait_for(
                lambda: len(self._fake.events[task_id]) > sequence or not context.is_active()
            )
            return self._fake.events[task_id][sequence:]

    def _wake(self) -> None:
        with self._fake.changed:
            self._fake.changed.notify_all()

    def GetQueue(self, request: Any, context: Any) -> Any:
        return self._answer(
            "GetQueue",
            request,
            context,
            lambda: task_service_pb2.GetQueueResponse(queue=self._queue()),
        )

    def WatchQueue(self, request: Any, context: Any) -> Any:
        self._answer("WatchQueue", request, context, self._queue)
        response = task_service_pb2.WatchQueueResponse(queue=self._queue())
        yield from self._cut(iter([response] * 3), context)

    def _queue(self) -> task_service_pb2.Queue:
        tasks = [self._fake.task(task_id) for task_id in self._fake.tasks]
        waiting = [each for each in tasks if each.state == task_pb2.TASK_STATE_PENDING]
        running = [each for each in tasks if each.state == task_pb2.TASK_STATE_PROCESSING]
        return task_service_pb2.Queue(
            waiting=[
                task_service_pb2.QueuedTask(task_id=each.task_id, position=place)
                for place, each in enumerate(waiting, start=1)
            ],
            running=[each.task_id for each in running],
            limit=10,
        )


class _Artifacts(_Service, artifact_service_pb2_grpc.ArtifactServiceServicer):
    def UploadInput(self, request_iterator: Any, context: Any) -> Any:
        metadata = next(request_iterator).metadata
        content = b"".join(each.chunk for each in request_iterator)

        def answer() -> Any:
            digest = hashlib.sha256(content).hexdigest()
            if (metadata.size_bytes, metadata.sha256) != (len(content), digest):
                raise ChecksumMismatch("upload")
            upload_id = f"upload_{len(self._fake.uploads) + 1}"
            self._fake.uploads[upload_id] = content
            return artifact_service_pb2.UploadInputResponse(
                upload=artifact_pb2.Upload(
                    upload_id=upload_id,
                    size_bytes=len(content),
                    sha256=digest,
                    content_type="image/png",
                    create_time=TIME,
                )
            )

        return self._answer("UploadInput", metadata, context, answer)

    def GetArtifact(self, request: Any, context: Any) -> Any:
        return self._answer(
            "GetArtifact",
            request,
            context,
            lambda: artifact_service_pb2.GetArtifactResponse(
                artifact=self._find(request.artifact_id)[0]
            ),
        )

    def DownloadArtifact(self, request: Any, context: Any) -> Any:
        artifact, content = self._answer(
            "DownloadArtifact", request, context, lambda: self._find(request.artifact_id)
        )
        yield from self._cut(self._pieces(artifact, content[request.offset :]), context)

    def _pieces(self, artifact: artifact_pb2.Artifact, content: bytes) -> Iterator[Any]:
        yield artifact_service_pb2.DownloadArtifactResponse(artifact=artifact)
        self._fake.sent.append(len(content))
        for begin in range(0, len(content), 100_000):
            piece = content[begin : begin + 100_000]
            yield artifact_service_pb2.DownloadArtifactResponse(chunk=piece)

    def _find(self, name: str) -> tuple[artifact_pb2.Artifact, bytes]:
        for artifact, content in self._fake.artifacts.values():
            if name in (artifact.artifact_id, artifact.filename):
                return artifact, content
        raise ArtifactNotFound(name)


class _System(_Service, system_service_pb2_grpc.SystemServiceServicer):
    def GetReadiness(self, request: Any, context: Any) -> Any:
        message = "" if self._fake.is_ready else "the pipeline is still being loaded"
        return self._answer(
            "GetReadiness",
            request,
            context,
            lambda: system_service_pb2.GetReadinessResponse(
                ready=self._fake.is_ready, message=message
            ),
        )

    def GetStatus(self, request: Any, context: Any) -> Any:
        replica = system_service_pb2.Replica(
            replica=0, state=system_service_pb2.REPLICA_STATE_IDLE, pid=42, restart_count=1
        )
        return self._answer(
            "GetStatus",
            request,
            context,
            lambda: system_service_pb2.GetStatusResponse(
                pending_count=1, queue_limit=10, completed_count=7, replicas=[replica]
            ),
        )

    def GetMetadata(self, request: Any, context: Any) -> Any:
        steps = contract_pb2.Parameter(name="steps", type="integer", minimum=1, maximum=100)
        steps.default_value.number_value = 24
        kind = contract_pb2.TaskContract(kind="t2v", media_type="video", parameters=[steps])
        kind.input_limits["ref_video_path"].max_frames = 241
        contract = contract_pb2.PipelineContract(
            contract_version="v1", pipeline_name="moving_shapes", declared=True, tasks=[kind]
        )
        return self._answer(
            "GetMetadata",
            request,
            context,
            lambda: system_service_pb2.GetMetadataResponse(
                contract=contract, replica_count=1, parallelism=1, queue_limit=10
            ),
        )
