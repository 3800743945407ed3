"""The chunks of a session in its process: made on a loop of their own while there is room."""

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec
import structlog

from telefuser_grpc.domain.session import Chunk
from telefuser_grpc.errors import OutputInvalid
from telefuser_grpc.pipeline.failure import failure_of
from telefuser_grpc.pipeline.stream_chunks import to_chunk
from telefuser_grpc.pipeline.stream_loop import StreamLoop
from telefuser_grpc.workers.channel import BlockingChannel, ProtocolError
from telefuser_grpc.workers.streams.messages import (
    CHUNK_WINDOW,
    CHUNK_WINDOW_BYTES,
    Ended,
    FromProcess,
    FromServer,
    Made,
    Shown,
)

PATIENCE_SECONDS = 30.0
"""How long a chunk that nobody wants may be waited for."""
END = object()

ProcessChannel = BlockingChannel[FromProcess, FromServer]
logger = structlog.get_logger()


class Output:
    """Sends the chunks of a pipeline, and their end once. Any thread may call it.

    Attributes:
        ended: Set when no chunk will come, or none was asked for.
    """

    def __init__(self, number: int, channel: ProcessChannel, loop: StreamLoop) -> None:
        self.ended = threading.Event()
        self.ended.set()
        self._number = number
        self._channel = channel
        self._loop = loop
        self._untaken: deque[int] = deque()  # the bytes of chunks that wait
        self._changed = asyncio.Event()
        self._is_stopping = False
        self._is_asking = False
        self._pictured = 0
        self._task: asyncio.Task[None] | None = None

    def begin(self, chunks: Callable[[], Any], on_end: Callable[[], None]) -> None:
        """Lets chunks come until they end; then calls `on_end`, on the loop's thread."""
        self.ended.clear()
        self._loop.begin(self._run(chunks, on_end))

    def taken(self) -> None:
        """Makes room for another chunk."""
        self._loop.post(self._take)

    def stop(self, *, after_seconds: float) -> None:
        """Asks for no further chunk, and interrupts one that waits for something after a while."""
        self._loop.post(self._stop, after_seconds)

    def _take(self) -> None:
        if self._untaken:
            self._untaken.popleft()
        self._changed.set()

    def _stop(self, after_seconds: float) -> None:
        self._is_stopping = True
        self._changed.set()
        asyncio.get_running_loop().call_later(after_seconds, self._interrupt)

    def _interrupt(self) -> None:
        if self._is_asking and self._task is not None:
            self._task.cancel()

    async def _run(self, chunks: Callable[[], Any], on_end: Callable[[], None]) -> None:
        self._task = asyncio.current_task()
        error = ""
        try:
            await self._produce(chunks)
        except asyncio.CancelledError:
            error = "" if self._is_stopping else "The pipeline was interrupted"
        except (Exception, SystemExit) as raised:
            if not self._is_stopping:
                logger.warning("stream failed", number=self._number, exc_info=raised)
                error = failure_of(raised).message
        self._channel.send(Ended(self._number, error.encode(errors="replace").decode()))
        self.ended.set()
        on_end()

    async def _produce(self, chunks: Callable[[], Any]) -> None:
        begun = chunks()
        source = _asynchronous(await begun if inspect.isawaitable(begun) else begun)
        try:
            while await self._has_room() and self._pass_on(await self._ask(source)):
                pass
        finally:
            if aclose := getattr(source, "aclose", None):
                await aclose()

    async def _ask(self, source: Any) -> Any:
        self._is_asking = True
        try:
            return await anext(source, END)
        finally:
            self._is_asking = False

    async def _has_room(self) -> bool:
        """Waits for room; false is the end."""
        while self._is_full() and not self._is_stopping:
            self._changed.clear()
            await self._changed.wait()
        return not self._is_stopping

    def _is_full(self) -> bool:
        return len(self._untaken) >= CHUNK_WINDOW or sum(self._untaken) >= CHUNK_WINDOW_BYTES

    def _pass_on(self, raw: Any) -> bool:
        """Sends a chunk that somebody wants; false is the end."""
        if raw is END or self._is_stopping:
            return False
        chunk = to_chunk(raw, number=self._pictured)
        self._pictured += bool(chunk.pictures)
        self._untaken.append(sum(len(each.rgb) for each in chunk.pictures))
        try:
            self._send(chunk)
        except ProtocolError as error:
            raise OutputInvalid("A picture, or all else of a chunk, is too large") from error
        return True

    def _send(self, chunk: Chunk) -> None:
        for picture in chunk.pictures:
            self._channel.send(Shown(self._number, picture))
        data = msgspec.json.encode(chunk.data)
        self._channel.send(Made(self._number, chunk.index, chunk.fps, chunk.sound, data))


def _asynchronous(chunks: Any) -> Any:
    if hasattr(chunks, "__anext__"):
        return chunks
    if hasattr(chunks, "__aiter__"):
        return aiter(chunks)
    if isinstance(chunks, Iterable):
        return _walk(chunks)
    raise OutputInvalid(f"The service must yield chunks; it returned {type(chunks).__name__}")


async def _walk(chunks: Iterable[Any]) -> AsyncIterator[Any]:
    try:
        for chunk in chunks:
            yield chunk
    finally:
        if close := getattr(chunks, "close", None):
            close()
