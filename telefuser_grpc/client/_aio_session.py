"""A live session, for programs with an event loop: the twin of `_session.LiveSession`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import grpc

from telefuser_grpc._gen.telefuser.v1 import session_service_pb2 as pb
from telefuser_grpc.client._errors import error_of
from telefuser_grpc.client._session_messages import STOP, Done, Opened, request_of, told
from telefuser_grpc.client.values import SessionChunk, SessionMessage
from telefuser_grpc.domain.session import Session
from telefuser_grpc.errors import TeleFuserError

GONE = (grpc.aio.AioRpcError, asyncio.InvalidStateError)


class AsyncLiveSession:
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
        self._request = request
        self._target = target
        self._metadata = metadata
        self._limit_seconds = limit_seconds
        self._close_seconds = close_seconds
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

    async def __aenter__(self) -> Self:
        self._call = self._method(timeout=self._limit_seconds, metadata=self._metadata)
        try:
            await self._say(self._request)
            opened = await self._read()
            assert isinstance(opened, Opened), "a session that was not opened has ended"
        except BaseException:
            self._hang_up()
            raise
        self._session, self.fps = opened.session, opened.fps
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and not self._is_over:
                await self._leave()
        finally:
            self._hang_up()

    async def __aiter__(self) -> AsyncIterator[SessionChunk]:
        """Yields what the pipeline makes, until its end."""
        while isinstance(item := await self._read(), SessionChunk):
            yield item

    async def send(self, message: SessionMessage) -> None:
        """Says something to the pipeline."""
        await self._say(request_of(message))

    async def stop(self) -> None:
        """Asks for the end; the iteration goes on to it."""
        await self._say(STOP)

    async def _leave(self) -> None:
        """Stops, and reads to the end: the pipeline is then free for the next."""
        with suppress(TeleFuserError, TimeoutError):
            async with asyncio.timeout(self._close_seconds):
                await self.stop()
                while await self._read() is not None:
                    pass

    def _hang_up(self) -> None:
        self._is_over = True
        self._call.cancel()

    async def _say(self, request: pb.InteractRequest) -> None:
        with suppress(*GONE):  # reading tells of it
            await self._call.write(request)

    async def _read(self) -> Opened | SessionChunk | None:
        """Returns what comes next, None at the end."""
        if self._is_over:
            return None
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            self._is_over = True
            raise error_of(error, self._target) from error
        if response is grpc.aio.EOF:
            self._is_over = True
            return None
        item = told(response)
        if isinstance(item, Done):
            self.chunks = item.chunks
            return await self._read()
        return item
