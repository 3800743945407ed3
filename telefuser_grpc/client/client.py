"""The client for programs without an event loop."""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import grpc

from telefuser_grpc._gen.telefuser.v1 import (
    artifact_service_pb2,
    artifact_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
    system_service_pb2,
    system_service_pb2_grpc,
    task_service_pb2,
    task_service_pb2_grpc,
)
from telefuser_grpc._gen.telefuser.v1.artifact_service_pb2 import (
    UploadInputRequest,
    UploadInputResponse,
)
from telefuser_grpc.client import _convert, _transfer
from telefuser_grpc.client._errors import FailedCall, connection_lost, error_of
from telefuser_grpc.client._session import LiveSession
from telefuser_grpc.client._session_messages import opening_request
from telefuser_grpc.client._shared import (
    CHANNEL_OPTIONS,
    DEFAULT_TARGET,
    RETRIES,
    Address,
    Cursor,
    Deadline,
    InputSource,
    Patience,
    QueueCursor,
    TaskCursor,
    call_metadata,
    create_request,
    list_request,
)
from telefuser_grpc.client._transfer import Download, DownloadProgress
from telefuser_grpc.client.values import (
    PictureFormat,
    Queue,
    Readiness,
    ServiceMetadata,
    ServiceStatus,
)
from telefuser_grpc.domain.artifact import Artifact, Upload
from telefuser_grpc.domain.session import Session
from telefuser_grpc.domain.task import Task, TaskEvent, TaskState
from telefuser_grpc.errors import TeleFuserError, Unavailable

Request = TypeVar("Request")
Response = TypeVar("Response")
Item = TypeVar("Item")


class Client:
    """Talks to a TeleFuser service over gRPC.

    Every method raises a class of `telefuser_grpc.errors`; nobody at the address is Unavailable.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        api_key: str = "",
        timeout_seconds: float = 30.0,
        reconnect_seconds: float = 60.0,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        address = Address.parse(target)
        self._target = address.target
        self._metadata = call_metadata(api_key)
        self._timeout_seconds = timeout_seconds
        self._reconnect_seconds = reconnect_seconds
        self._limit_seconds: float | None = None
        self._channel = _channel(address, credentials)
        self._tasks = task_service_pb2_grpc.TaskServiceStub(self._channel)
        self._artifacts = artifact_service_pb2_grpc.ArtifactServiceStub(self._channel)
        self._system = system_service_pb2_grpc.SystemServiceStub(self._channel)
        self._sessions = session_service_pb2_grpc.SessionServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all calls and closes the connection."""
        self._channel.close()

    def within(self, seconds: float) -> Self:
        """Returns this client, on the same connection, with a limit for each method.

        A call that takes longer is Unavailable; a wait that does raises TaskTimeoutError.
        """
        limited = copy.copy(self)
        limited._timeout_seconds = limited._limit_seconds = seconds  # noqa: SLF001 - of the same class
        return limited

    def create(
        self,
        kind: str = "",
        prompt: str = "",
        *,
        negative_prompt: str = "",
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        inputs: Mapping[str, InputSource] | None = None,
        task_id: str = "",
        request_id: str | None = None,
    ) -> Task:
        """Submits a task and returns it once it is safe with the service.

        Paths and bytes among `inputs` are uploaded first. The request id, minted unless given,
        makes it safe that the call is repeated when the service is away for a moment; "" turns
        repeating off.

        Raises:
            InvalidRequest: The contract refuses it; `violations` name the fields.
            QueueFull, StorageFull, NoCapacity: There is no room; `retry_after_seconds` says when.
            TaskAlreadyExists, RequestIdReused: An id is taken.
        """
        request = create_request(
            kind,
            prompt,
            negative_prompt=negative_prompt,
            seed=seed,
            parameters=parameters,
            inputs={name: self._sent(each) for name, each in (inputs or {}).items()},
            task_id=task_id,
            request_id=request_id,
        )
        response = self._repeat(
            lambda seconds: self._call(self._tasks.CreateTask, request, seconds),
            Patience(self._timeout_seconds, RETRIES if request.request_id else 0),
        )
        return _convert.task(response.task)

    def get(self, task_id: str) -> Task:
        """Returns a task as it is now."""
        request = task_service_pb2.GetTaskRequest(task_id=task_id)
        return _convert.task(self._call(self._tasks.GetTask, request).task)

    def list(
        self,
        states: Sequence[TaskState | str] = (),
        kinds: Sequence[str] = (),
        page_size: int = 50,
    ) -> Iterator[Task]:
        """Yields tasks, the newest first, and fetches page after page."""
        request = list_request(states, kinds, page_size)
        while True:
            page = self._call(self._tasks.ListTasks, request)
            yield from map(_convert.task, page.tasks)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def cancel(self, task_id: str) -> Task:
        """Asks for a task to be stopped and returns it; a task that has ended stays as it is."""
        request = task_service_pb2.CancelTaskRequest(task_id=task_id)
        return _convert.task(self._call(self._tasks.CancelTask, request).task)

    def delete(self, task_id: str) -> None:
        """Deletes a task that has ended, with its files."""
        self._call(self._tasks.DeleteTask, task_service_pb2.DeleteTaskRequest(task_id=task_id))

    def watch(
        self, task_id: str, after_sequence: int = 0, *, previews: bool = True
    ) -> Iterator[TaskEvent]:
        """Yields a task's events until it has ended.

        When the connection breaks it is made again and nothing is missed or repeated.

        Raises:
            TaskNotFound: There is no such task.
            Unavailable: `reconnect_seconds` have passed without success.
        """
        cursor = TaskCursor(task_id, after_sequence, previews=previews)

        def is_over() -> bool:
            return cursor.covers(self.get(task_id))

        return self._follow(self._tasks.WatchTask, cursor, is_over)

    def wait(self, task_id: str) -> Task:
        """Waits until a task has ended and returns it, whatever its end."""
        for _ in self.watch(task_id, previews=False):
            pass
        return self.get(task_id)

    def queue(self) -> Queue:
        """Returns what waits and what runs."""
        response = self._call(self._tasks.GetQueue, task_service_pb2.GetQueueRequest())
        return _convert.queue(response.queue)

    def watch_queue(self) -> Iterator[Queue]:
        """Yields the queue now and after each change, for as long as the caller listens."""
        return self._follow(self._tasks.WatchQueue, QueueCursor(), lambda: False)

    def upload(self, source: Path | bytes) -> Upload:
        """Sends a file, with its checksum, to be an input of tasks.

        Raises:
            InputRejected: It is too large, or no image, video or audio that decodes.
            ChecksumMismatch: It has changed on its way.
        """
        first = _transfer.promise(source)
        patience = Patience(self._limit_seconds or float("inf"), RETRIES)
        response = self._repeat(lambda left: self._send(first, source, left), patience)
        return _convert.upload(response.upload)

    def artifact(self, artifact_id: str) -> Artifact:
        """Returns the description of a file that a task has made."""
        request = artifact_service_pb2.GetArtifactRequest(artifact_id=artifact_id)
        return _convert.artifact(self._call(self._artifacts.GetArtifact, request).artifact)

    def download(
        self, artifact_id: str, path: Path, *, progress: DownloadProgress | None = None
    ) -> Path:
        """Fetches a file to a path or into a folder, checks it, and returns where it is.

        What a broken download has left is continued, by this call or a later one.

        Raises:
            ArtifactNotFound: There is no such file.
            ChecksumMismatch: The bytes are not those of the artifact; they are thrown away.
        """
        download = Download(self.artifact(artifact_id), path, progress=progress)
        patience, deadline = Patience(self._reconnect_seconds), Deadline(self._limit_seconds)
        while not download.is_whole:
            try:
                for response in self._stream(
                    self._artifacts.DownloadArtifact, download.request(), deadline
                ):
                    download.write(response)
                    patience.reset()
                if not download.is_whole:
                    raise connection_lost(self._target)
            except Unavailable as error:
                deadline.check()
                time.sleep(deadline.pause_seconds(patience.pause_seconds(error)))
        return download.finish()

    def metadata(self) -> ServiceMetadata:
        """Returns the loaded pipeline's contract."""
        request = system_service_pb2.GetMetadataRequest()
        return _convert.metadata(self._call(self._system.GetMetadata, request))

    def status(self) -> ServiceStatus:
        """Returns counts of tasks and the state of every replica."""
        request = system_service_pb2.GetStatusRequest()
        return _convert.status(self._call(self._system.GetStatus, request))

    def ready(self) -> Readiness:
        """Tells whether tasks would be accepted and run."""
        response = self._call(self._system.GetReadiness, system_service_pb2.GetReadinessRequest())
        return Readiness(is_ready=response.ready, message=response.message)

    def session(
        self,
        config: Mapping[str, Any] | None = None,
        *,
        session_id: str = "",
        picture_format: PictureFormat = PictureFormat.JPEG,
    ) -> LiveSession:
        """Returns a session that is open inside of its block.

        Args:
            config: What the pipeline is told, such as `task`, `prompt`, `fps` and `image`.
            session_id: The id that it shall have; a pipeline may give it another.
            picture_format: How pictures are sent.
        """
        return LiveSession(
            self._sessions.Interact,
            opening_request(config or {}, session_id=session_id, picture_format=picture_format),
            target=self._target,
            metadata=self._metadata,
            limit_seconds=self._limit_seconds,
            close_seconds=self._timeout_seconds,
        )

    def sessions(self) -> Sequence[Session]:
        """Returns the caller's open sessions, the oldest first."""
        request = session_service_pb2.ListSessionsRequest()
        response = self._call(self._sessions.ListSessions, request)
        return [_convert.session(each) for each in response.sessions]

    def get_session(self, session_id: str) -> Session:
        """Returns an open session. Raises SessionNotFound."""
        request = session_service_pb2.GetSessionRequest(session_id=session_id)
        return _convert.session(self._call(self._sessions.GetSession, request).session)

    def close_session(self, session_id: str) -> None:
        """Ends a session, whoever holds it, and waits for its end. Raises SessionNotFound."""
        request = session_service_pb2.CloseSessionRequest(session_id=session_id)
        self._call(self._sessions.CloseSession, request)

    def _sent(self, source: InputSource) -> Upload | str:
        return self.upload(source) if isinstance(source, Path | bytes) else source

    def _send(
        self, first: UploadInputRequest, source: Path | bytes, seconds: float
    ) -> UploadInputResponse:
        try:
            return self._artifacts.UploadInput(
                _transfer.messages(first, source),
                timeout=seconds if self._limit_seconds else None,
                metadata=self._metadata,
            )
        except grpc.RpcError as error:
            raise self._error(error) from error

    def _repeat(self, action: Callable[[float], Response], patience: Patience) -> Response:
        while True:
            try:
                return action(patience.remaining_seconds())
            except Unavailable as error:
                time.sleep(patience.pause_seconds(error))

    def _follow(
        self,
        method: "grpc.UnaryStreamMultiCallable[Request, Response]",
        cursor: Cursor[Request, Response, Item],
        is_over: Callable[[], bool],
    ) -> Iterator[Item]:
        patience, deadline = Patience(self._reconnect_seconds), Deadline(self._limit_seconds)
        while True:
            try:
                for response in self._stream(method, cursor.request(), deadline):
                    patience.reset()
                    if item := cursor.take(response):
                        yield item
                    if cursor.has_ended:
                        return
                if is_over():
                    return
                raise connection_lost(self._target)
            except Unavailable as error:
                deadline.check()
                time.sleep(deadline.pause_seconds(patience.pause_seconds(error)))

    def _stream(
        self,
        method: "grpc.UnaryStreamMultiCallable[Request, Response]",
        request: Request,
        deadline: Deadline,
    ) -> Iterator[Response]:
        call = method(request, timeout=deadline.remaining_seconds(), metadata=self._metadata)
        try:
            yield from call
        except grpc.RpcError as error:
            raise self._error(error) from error
        finally:
            call.cancel()

    def _call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        timeout_seconds: float | None = None,
    ) -> Response:
        timeout = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        try:
            return method(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._error(error) from error

    def _error(self, error: grpc.RpcError) -> TeleFuserError:
        return error_of(cast(FailedCall, error), self._target)


def _channel(address: Address, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    credentials = credentials or address.credentials()
    if credentials:
        return grpc.secure_channel(address.target, credentials, CHANNEL_OPTIONS)
    return grpc.insecure_channel(address.target, CHANNEL_OPTIONS)
