"""Messages on their way to a client, who may be slow: what is old gives way to what is new."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

SIZE = 4
"""Messages that wait before a new picture takes the place of the oldest one."""
MOST = 16
"""Messages that wait before a new status takes the place of an older one."""
VIDEO = frozenset({"chunk", "preview"})

Message = Mapping[str, Any]


class Outbox:
    """Takes messages on any thread, and yields them on one event loop.

    A new picture takes the place of the oldest one where messages pile up, and a new status that
    of the oldest of its stage, else of any; errors and the end always get in, and drop nothing.
    """

    def __init__(self, size: int = SIZE, most: int = MOST) -> None:
        self._size = size
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[Message] = deque()
        self._is_closed = False
        self._is_read = False
        self._wake: Callable[[], None] = _nobody
        self.dropped_videos = 0
        self.dropped_statuses = 0
        self.high_watermark = 0

    def put(self, message: Message) -> None:
        """Adds a message; never waits. After the last one nothing is added."""
        with self._lock:
            if self._is_closed:
                return
            self._make_room(message)
            self._waiting.append(message)
            self.high_watermark = max(self.high_watermark, len(self._waiting))
            self._wake()

    def close(self, last: Message) -> None:
        """Adds the last message."""
        with self._lock:
            self._waiting.append(last)
            self._is_closed = True
            self._wake()

    async def read(self) -> AsyncGenerator[Message, None]:
        """Yields the messages in their order, once, until the end. Raises ValueError."""
        there = asyncio.Event()
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._is_read:
                raise ValueError("the messages of this session are read already")
            self._is_read = True
            self._wake = lambda: _call(loop, there.set)
        there.set()
        while True:
            await there.wait()
            there.clear()
            while (message := self._take()) is not None:
                yield message
            if self._is_closed and not self._waiting:
                return

    def _take(self) -> Message | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def _make_room(self, new: Message) -> None:
        """Drops a message for the sake of a new one, where too many wait."""
        if new["type"] in VIDEO and len(self._waiting) >= self._size:
            videos = [each for each in self._waiting if each["type"] in VIDEO]
            self._drop(videos[:1])
        elif new["type"] == "status" and len(self._waiting) >= self._most:
            statuses = [each for each in self._waiting if each["type"] == "status"]
            same = [each for each in statuses if each["stage"] == new["stage"]]
            self._drop([*same, *statuses][:1])

    def _drop(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._waiting.remove(message)
            if message["type"] in VIDEO:
                self.dropped_videos += 1
            else:
                self.dropped_statuses += 1


def _nobody() -> None:
    """Wakes nobody: the reader has not come yet."""


def _call(loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the reader's loop is closed, so nobody waits
        loop.call_soon_threadsafe(wake)
