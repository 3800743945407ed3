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

logger = structlog.get_logger()


class Inbox:
    """Holds messages in order, and the newest media besides; then the end.

    Words go before media, and an end after the words.
    """

    def __init__(self) -> None:
        self._words: deque[Mapping[str, Any] | bytes] = deque()
        self._media: deque[ClientMedia] = deque(maxlen=MEDIA)
        self._changed = asyncio.Event()
        self._stopped = False
        self.cause: CloseCause | None = None
        """Why the client is gone, if it is."""

    def put(self, message: Mapping[str, Any] | bytes) -> None:
        """Takes a message, unless the session is far behind or was told to stop."""
        if self._stopped:
            return
        if len(self._words) == WORDS:
            logger.warning("message dropped", why="the session is too slow for its client")
            return
        self._words.append(message)
        self._changed.set()

    def put_media(self, media: ClientMedia) -> None:
        """Takes a piece of media; where the session is slow, the oldest is dropped."""
        self._media.append(media)
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
