"""One session as the server sees it: what the frames of its number say."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec
import structlog

from telefuser_grpc.domain.session import Chunk, ClientMedia, ClientMessage, Picture
from telefuser_grpc.errors import SessionConflict, SessionFailed, SessionRejected, TeleFuserError
from telefuser_grpc.workers.channel import ProtocolError
from telefuser_grpc.workers.streams.messages import (
    CHUNK_WINDOW,
    PUSH_WINDOW,
    AboutSession,
    Close,
    Closed,
    Create,
    Created,
    Ended,
    FromServer,
    Heard,
    Made,
    Pull,
    Push,
    Refusal,
    Refused,
    Serve,
    Shown,
    Taken,
    Told,
)

CLOSE_SECONDS = 30.0
PIECE_BYTES = 8 * 2**20
"""About how much of a client's media travels at once."""
NOTICES = 16
"""How many notices may wait for a client; further ones are lost."""
UNSENDABLE = (ProtocolError, TypeError, ValueError, RecursionError)
REFUSALS: Mapping[Refusal, type[TeleFuserError]] = {
    Refusal.REJECTED: SessionRejected,
    Refusal.CONFLICT: SessionConflict,
    Refusal.FAILED: SessionFailed,
}

logger = structlog.get_logger()


class LocalSession:
    """Stands for a number of the process, until its last frame or the process's death.

    Args:
        on_over: Called once, when nothing more is done for it.
    """

    def __init__(
        self, number: int, *, send: Callable[[FromServer], None], on_over: Callable[[], None]
    ) -> None:
        self._number = number
        self._send = send
        self._on_over = on_over
        self._is_over = False
        self._created: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        self._changed = asyncio.Event()
        self._chunks: deque[tuple[Chunk, bool]] = deque()  # and whether they take up room
        self._pictures: list[Picture] = []
        self._has_ended = False
        self._error: TeleFuserError | None = None
        self._is_pulled = False
        self._is_closing = False
        self._unheard = 0
        self._heard = asyncio.Event()
        self._turn = asyncio.Lock()

    async def create(self, config: Mapping[str, Any]) -> str:
        """Begins the session and returns its id; one that nobody waits for is closed again."""
        try:
            self._send(Create(self._number, msgspec.json.encode(config)))
        except UNSENDABLE as error:
            self.end(None)
            raise SessionRejected("the configuration is too large, or no JSON") from error
        try:
            return await asyncio.shield(self._created)
        except asyncio.CancelledError:
            self.leave()
            raise

    async def push(self, message: ClientMessage) -> None:
        """Hands over a message when the process has heard most of those before; over, it is lost.

        Raises:
            SessionFailed: The message is too large.
        """
        async with self._turn:
            for push in self._pushes(message):
                while self._unheard >= PUSH_WINDOW and not self._is_over:
                    self._heard.clear()
                    await self._heard.wait()
                self._push(push)

    async def pull(self) -> AsyncGenerator[Chunk, None]:
        """Yields the chunks, once. Raises SessionFailed."""
        if self._is_pulled:
            raise SessionFailed("The chunks of a session can be pulled once")
        self._is_pulled = True
        if not self._is_closing:
            self._send(Pull(self._number))
        async with aclosing(self._read()) as chunks:
            async for chunk in chunks:
                yield chunk

    async def serve(self, request: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Yields the chunks for a request, which is closed with the generator."""
        try:
            self._send(Serve(self._number, msgspec.json.encode(request)))
        except UNSENDABLE as error:
            self.end(None)
            raise SessionFailed("The request is too large, or no JSON") from error
        try:
            async with aclosing(self._read()) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self.leave()

    def leave(self) -> None:
        """Lets the process close it."""
        if not self._is_closing and not self._is_over:
            self._is_closing = True
            self._send(Close(self._number))

    async def close(self) -> None:
        """Lets the process close it and waits for that, for a while."""
        self.leave()
        self._changed.set()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._closed.wait()
        except TimeoutError:
            logger.warning("session does not close", number=self._number)

    def take(self, frame: AboutSession) -> None:
        """Takes what the process says. Raises ProtocolError."""
        match frame:
            case Shown(picture=picture):
                self._pictures.append(picture)
            case Made():
                self._add(self._chunk(frame), takes_room=True)
            case Told(data=data):
                if len(self._chunks) < CHUNK_WINDOW + NOTICES:
                    self._add(Chunk(index=-1, data=_decoded(data)), takes_room=False)
            case Heard():
                self._unheard -= 1
                self._heard.set()
            case Created(session_id=session_id):
                self._settle(session_id)
            case Refused(refusal=refusal, message=message):
                self.end(REFUSALS[refusal](message))
            case Ended(error=error):
                self._end_output(SessionFailed(error) if error else None)
            case Closed():
                self.end(None)

    def end(self, error: TeleFuserError | None) -> None:
        """Takes the end of everything, because of an error if there is one."""
        if self._is_over:
            return
        self._is_over = True
        if not self._created.done():
            self._created.set_exception(error or SessionFailed("The session was closed"))
            self._created.exception()  # it may be that nobody waits
        self._end_output(error if isinstance(error, SessionFailed) else None)
        self._heard.set()
        self._closed.set()
        self._on_over()

    def _settle(self, session_id: str) -> None:
        if self._created.done():
            raise ProtocolError("created twice")
        self._created.set_result(session_id)

    def _end_output(self, error: SessionFailed | None) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._error = error
        self._changed.set()

    def _add(self, chunk: Chunk, *, takes_room: bool) -> None:
        self._chunks.append((chunk, takes_room))
        self._changed.set()

    def _chunk(self, made: Made) -> Chunk:
        pictures, self._pictures = tuple(self._pictures), []
        return Chunk(
            index=made.index,
            fps=made.fps,
            pictures=pictures,
            sound=made.sound,
            data=_decoded(made.data),
        )

    async def _read(self) -> AsyncGenerator[Chunk, None]:
        while await self._has_chunk():
            chunk, takes_room = self._chunks.popleft()
            yield chunk
            if takes_room and not self._has_ended:
                self._send(Taken(self._number))
        if self._error is not None:
            raise self._error

    async def _has_chunk(self) -> bool:
        while not self._chunks and not self._has_ended and not self._is_closing:
            self._changed.clear()
            await self._changed.wait()
        return bool(self._chunks) and not self._is_closing

    def _pushes(self, message: ClientMessage) -> Iterator[Push]:
        if isinstance(message, ClientMedia):
            for media in _pieces(message):
                yield Push(self._number, media=media)
        elif isinstance(message, bytes):
            yield Push(self._number, data=message)
        else:
            try:
                yield Push(self._number, json=msgspec.json.encode(message))
            except UNSENDABLE as error:
                raise SessionFailed("A message for the pipeline is no JSON") from error

    def _push(self, push: Push) -> None:
        if self._is_over or self._is_closing:
            return
        try:
            self._send(push)
        except UNSENDABLE as error:
            raise SessionFailed("A message for the pipeline is too large") from error
        self._unheard += 1


def _pieces(media: ClientMedia) -> Iterator[ClientMedia]:
    """Parts media so that no piece with several pictures is large."""
    piece: list[Picture] = []
    size = 0
    for picture in media.pictures:
        if piece and size + len(picture.rgb) > PIECE_BYTES:
            yield ClientMedia(pictures=tuple(piece))
            piece, size = [], 0
        piece.append(picture)
        size += len(picture.rgb)
    yield ClientMedia(pictures=tuple(piece), sound=media.sound)


def _decoded(text: bytes) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ProtocolError(f"no JSON object: {error}") from error
