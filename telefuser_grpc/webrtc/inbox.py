"""What a client has said and its session has not heard yet."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import structlog

from telefuser_grpc.domain.session import ClientMedia, ClientMessage, CloseCause
from telefuser_grpc.scheduler.stream_ports import PeerGone

WORDS = 256
MEDIA = 32
MEDIA_BYTES = 64 * 2**20

logger = structlog.get_logger()


class Inbox:
    """Holds messages in order, and the newest media besides; then the end.

    Words go before media, and an end after the words.
    """

    def __init__(self) -> None:
        self._words: deque[Mapping[str, Any] | bytes] = deque()
        self._media: deque[ClientMedia] = deque(maxlen=MEDIA)
        self._is_full = False
        self._changed = asyncio.Event()
        self._stopped = False
        self.cause: CloseCause | None = None
        """Why the client is gone, if it is."""

    def put(self, message: Mapping[str, Any] | bytes) -> None:
        """Takes a message, unless the session is far behind or was told to stop."""
        if self._stopped:
            return
        if len(self._words) == WORDS:
            if not self._is_full:  # the first of a row tells enough
                logger.warning("message dropped", why="the session is too slow for its client")
            self._is_full = True
            return
        self._is_full = False
        self._words.append(message)
        self._changed.set()

    def put_media(self, media: ClientMedia) -> None:
        """Takes a piece of media; where the session is slow, the oldest is dropped."""
        self._media.append(media)
        while len(self._media) > 1 and sum(map(_size, self._media)) > MEDIA_BYTES:
            self._media.popleft()
        self._changed.set()

    def stop(self) -> None:
        """Takes the client's wish to end."""
        self._stopped = True
        self._changed.set()

    def leave(self, cause: CloseCause) -> None:
        """Takes the end of the connection; the first cause counts."""
        self.cause = self.cause or cause
        self._changed.set()

    async def get(self) -> ClientMessage | None:
        """Waits for the next message; None after a stop. Raises PeerGone."""
        while not self._words and not self._stopped and not self.cause and not self._media:
            self._changed.clear()
            await self._changed.wait()
        if self._words:
            return self._words.popleft()
        if self._stopped:
            return None
        if self.cause:
            raise PeerGone(self.cause)
        return self._media.popleft()


def _size(media: ClientMedia) -> int:
    return sum(len(each.rgb) for each in media.pictures) + len(
        media.sound.pcm if media.sound else b""
    )
