"""What both clients share: building requests, following streams, and having patience."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from uuid import uuid4

import grpc

from telefuser_grpc._gen.telefuser.v1 import task_pb2, task_service_pb2
from telefuser_grpc.client import _convert
from telefuser_grpc.client.failures import TaskTimeoutError
from telefuser_grpc.client.values import Queue
from telefuser_grpc.domain.artifact import Upload
from telefuser_grpc.domain.task import Task, TaskEvent, TaskState
from telefuser_grpc.errors import InvalidRequest, Unavailable

DEFAULT_TARGET = "127.0.0.1:8000"
RETRIES = 3

InputSource = Path | bytes | Upload | str
"""An input of a task: a local file, its content, what was uploaded, or a `data:` URL or path of
the server."""

CHANNEL_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_http_proxy", 0),
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is: `host:port`, or a URL whose scheme says whether it speaks TLS."""

    target: str
    is_secure: bool

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Reads what a caller gave as the server."""
        is_secure = text.startswith("https://")
        return cls(text.removeprefix("https://").removeprefix("http://").rstrip("/"), is_secure)

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Returns what the channel is secured with, or None where it is not."""
        return grpc.ssl_channel_credentials() if self.is_secure else None


def call_metadata(api_key: str) -> tuple[tuple[str, str], ...]:
    """Returns the metadata that every call carries. Raises InvalidRequest."""
    if not (api_key.isascii() and api_key.isprintable()):
        raise InvalidRequest("the API key must be of visible ASCII characters")
    return (("authorization", f"Bearer {api_key}"),) if api_key else ()


def create_request(
    kind: str,
    prompt: str,
    *,
    negative_prompt: str,
    seed: int | None,
    parameters: Mapping[str, Any] | None,
    inputs: Mapping[str, Upload | str],
    task_id: str,
    request_id: str | None,
) -> task_service_pb2.CreateTaskRequest:
    """Returns the request; an absent request id is minted, so that a repetition is harmless."""
    request = task_service_pb2.CreateTaskRequest(
        request_id=uuid4().hex if request_id is None else request_id,
        task_id=task_id,
        kind=kind,
        prompt=prompt,
        negative_prompt=negative_prompt,
        seed=seed,
        inputs={name: _input(each) for name, each in inputs.items()},
    )
    request.parameters.update(parameters or {})
    return request


def list_request(
    states: Sequence[TaskState | str], kinds: Sequence[str], page_size: int
) -> task_service_pb2.ListTasksRequest:
    """Returns the request for the first page."""
    return task_service_pb2.ListTasksRequest(
        states=[f"TASK_STATE_{TaskState(each).name}" for each in states],
        kinds=kinds,
        page_size=page_size,
    )


def _input(source: Upload | str) -> task_pb2.TaskInput:
    if isinstance(source, Upload):
        return task_pb2.TaskInput(upload_id=source.id)
    return task_pb2.TaskInput(uri=source)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment by which a method must be through, if there is one."""

    seconds: float | None
    _begin: float = field(default_factory=time.monotonic)

    def remaining_seconds(self) -> float | None:
        """Returns what is left of the time, or None where there is no end."""
        if self.seconds is None:
            return None
        return max(0.0, self._begin + self.seconds - time.monotonic())

    def check(self) -> None:
        """Raises TaskTimeoutError when the time is over."""
        if self.remaining_seconds() == 0:
            raise TaskTimeoutError(f"What was waited for has not come within {self.seconds:g} s")

    def pause_seconds(self, pause: float) -> float:
        """Returns a pause that ends in time."""
        remaining = self.remaining_seconds()
        return pause if remaining is None else min(pause, remaining)


@dataclass(slots=True)
class Patience:
    """How long and how often a caller tries again; the clock starts with the first question."""

    seconds: float
    retries: float = float("inf")
    _since: float | None = None
    _failures: int = 0

    def reset(self) -> None:
        """Starts anew, after a success."""
        self._since = None
        self._failures = 0

    def remaining_seconds(self) -> float:
        """Returns what is left of the time."""
        if self._since is None:
            self._since = time.monotonic()
        return max(0.0, self._since + self.seconds - time.monotonic())

    def pause_seconds(self, error: Unavailable) -> float:
        """Returns how long to wait before the next try.

        Raises:
            Unavailable: The error given, when patience is at an end.
        """
        pause = error.retry_after_seconds or self._backoff_seconds()
        self._failures += 1
        if self._failures > self.retries or pause > self.remaining_seconds():
            raise error
        return pause

    def _backoff_seconds(self) -> float:
        return min(2.0, 0.1 * 2.0 ** min(self._failures, 10)) * random.uniform(0.75, 1.25)


Request = TypeVar("Request", covariant=True)
Response = TypeVar("Response", contravariant=True)
Item = TypeVar("Item", covariant=True)


class Cursor(Protocol, Generic[Request, Response, Item]):
    """Where a stream was left, so that it can be taken up again."""

    @property
    def has_ended(self) -> bool:
        """Tells whether nothing more will come."""
        ...

    def request(self) -> Request:
        """Returns the request for what has not been seen."""
        ...

    def take(self, response: Response) -> Item | None:
        """Returns what a message holds, or None if it was seen before."""
        ...


class TaskCursor:
    """Follows one task's events by their sequence."""

    def __init__(self, task_id: str, after_sequence: int, *, previews: bool) -> None:
        self._task_id = task_id
        self._sequence = after_sequence
        self._previews = previews
        self._has_ended = False

    @property
    def has_ended(self) -> bool:
        """Tells whether the task has ended."""
        return self._has_ended

    def request(self) -> task_service_pb2.WatchTaskRequest:
        """Returns the request for the events after the last one seen."""
        return task_service_pb2.WatchTaskRequest(
            task_id=self._task_id,
            after_sequence=self._sequence,
            omit_previews=not self._previews,
        )

    def take(self, response: task_service_pb2.WatchTaskResponse) -> TaskEvent | None:
        """Returns the event unless it was seen before."""
        event = _convert.event(response.event)
        if event.sequence <= self._sequence:
            return None
        self._sequence = event.sequence
        self._has_ended = event.is_last
        return event

    def covers(self, task: Task) -> bool:
        """Tells whether a task has ended and every event of it was seen."""
        return task.state.is_terminal and task.sequence <= self._sequence


class QueueCursor:
    """Follows the queue, which never ends."""

    has_ended = False

    def request(self) -> task_service_pb2.WatchQueueRequest:
        """Returns the request for the queue now and later."""
        return task_service_pb2.WatchQueueRequest()

    def take(self, response: task_service_pb2.WatchQueueResponse) -> Queue:
        """Returns the queue."""
        return _convert.queue(response.queue)
