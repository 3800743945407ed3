"""The data channel of a connection: what is said there, in both directions."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import msgspec
import structlog
from aiortc import RTCDataChannel

from telefuser_grpc.webrtc.inbox import Inbox

LABEL = "telefuser"
LONGEST = 1 << 18  # as the answer says
FULL_BYTES = 1 << 20
LOW_BYTES = 1 << 18
LAST_WORDS_SECONDS = 2.0

logger = structlog.get_logger()


class Channel:
    """Puts what a client says into an inbox, and says what the session tells it."""

    def __init__(
        self, channel: RTCDataChannel, inbox: Inbox, *, on_close: Callable[[], None]
    ) -> None:
        self._channel = channel
        self._inbox = inbox
        self._has_dropped = False
        self._drained = asyncio.Event()
        channel.bufferedAmountLowThreshold = LOW_BYTES
        channel.on("bufferedamountlow", self._drained.set)
        channel.on("message", self._hear)
        channel.on("close", on_close)

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Sends a message; waits for a client that reads slowly."""
        while self._channel.readyState == "open" and self._channel.bufferedAmount > FULL_BYTES:
            self._drained.clear()
            await self._drained.wait()
        if self._channel.readyState != "open":
            return
        try:
            self._channel.send(msgspec.json.encode(message, enc_hook=str).decode())
        except ValueError as error:  # the client has said how long a message may be
            logger.warning("message to the client dropped", why=str(error))

    def release(self) -> None:
        """Ends every wait."""
        self._drained.set()

    async def close(self) -> None:
        """Closes the channel behind what was said last, as long as the client takes it."""
        if self._channel.readyState != "open":
            return
        closed = asyncio.Event()
        self._channel.on("close", closed.set)
        self._channel.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await closed.wait()

    def _hear(self, said: str | bytes) -> None:
        if len(said) > LONGEST:
            self._drop("it is longer than the answer allows")
            return
        if isinstance(said, bytes):
            self._inbox.put(said)
            return
        message = _object(said)
        if message is None:
            self._drop("it is no JSON object")
        elif message.get("type") == "stop":
            self._inbox.stop()
        else:
            self._inbox.put(message)

    def _drop(self, why: str) -> None:
        """Tells of the first message that is of no use; a client could fill the log with them."""
        if not self._has_dropped:
            self._has_dropped = True
            logger.warning("message of the client dropped", why=why)


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return cast(Mapping[str, Any], value) if isinstance(value, dict) else None
