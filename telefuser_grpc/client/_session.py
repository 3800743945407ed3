"""A live session, for programs without an event loop."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from threading import Timer
from types import TracebackType
from typing import Any, Self, cast

import grpc

from telefuser_grpc._gen.telefuser.v1 import session_service_pb2 as pb
from telefuser_grpc.client._errors import FailedCall, error_of
from telefuser_grpc.client._session_messages import STOP, Done, Opened, request_of, told
from telefuser_grpc.client.values import SessionChunk, SessionMessage
from telefuser_grpc.domain.session import Session
from telefuser_grpc.errors import TeleFuserError


class LiveSession:
    """A session that is open inside of its block; iterate over it for its chunks.

    Leaving the block stops the session, and waits until the service has let it go. An error ends
    it at once. What is sent to a session that has ended is lost; the iteration says how it ended.

    Attributes:
        fps: The pictures of a second, where a chunk does not say otherwise.
        chunks: How many chunks had pictures; known at the end.

    Raises:
        SessionRejected, SessionConflict, SessionLimitReached, SessionAlreadyExists,
        StreamNotRunning: There is no session; by entering the block.
        SessionFailed: The pipeline failed; by iterating.
    """

    fps: float
    chunks: int | None = None

    def __init__(
        self,
        method: Callable[..., Any],
        request: pb.InteractRequest,
        *,
        target: str,
        metadata: tuple[tuple[str, str], ...],
        limit_seconds: float | None,
        close_seconds: float,
    ) -> None:
        self._method = method
        self._target = target
        self._metadata = metadata
        self._limit_seconds = limit_seconds
        self._close_seconds = close_seconds
        self._said: SimpleQueue[pb.InteractRequest | None] = SimpleQueue()
        self._said.put(request)
        self._session: Session
        self._call: Any
        self._is_over = False

    @property
    def id(self) -> str:
        """The id that the session has."""
        return self._session.id

    @property
    def session(self) -> Session:
        """The session as it was opened."""
        return self._session

    def __enter__(self) -> Self:
        requests = iter(self._said.get, None)
        self._call = self._method(requests, timeout=self._limit_seconds, metadata=self._metadata)
        try:
            opened = self._read()
            assert isinstance(opened, Opened), "a session that was not opened has ended"
        except BaseException:
            self._hang_up()
            raise
        self._session, self.fps = opened.session, opened.fps
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and not self._is_over:
                self._leave()
        finally:
            self._hang_up()

    def __iter__(self) -> Iterator[SessionChunk]:
        """Yields what the pipeline makes, until its end."""
        while isinstance(item := self._read(), SessionChunk):
            yield item

    def send(self, message: SessionMessage) -> None:
        """Says something to the pipeline."""
        self._said.put(request_of(message))

    def stop(self) -> None:
        """Asks for the end; the iteration goes on to it."""
        self._said.put(STOP)

    def _leave(self) -> None:
        """Stops, and reads to the end: the pipeline is then free for the next."""
        self.stop()
        limit = Timer(self._close_seconds, self._call.cancel)
        limit.start()
        try:
            with suppress(TeleFuserError):
                while self._read() is not None:
                    pass
        finally:
            limit.cancel()

    def _hang_up(self) -> None:
        self._is_over = True
        self._said.put(None)
        self._call.cancel()

    def _read(self) -> Opened | SessionChunk | None:
        """Returns what comes next, None at the end."""
        if self._is_over:
            return None
        try:
            response = next(self._call, None)
        except grpc.RpcError as error:
            self._is_over = True
            raise error_of(cast(FailedCall, error), self._target) from error
        if response is None:
            self._is_over = True
            return None
        item = told(response)
        if isinstance(item, Done):
            self.chunks = item.chunks
            return self._read()
        return item
