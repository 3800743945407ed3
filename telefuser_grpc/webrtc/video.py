"""The pictures that a client sees: as many each second as were promised."""

import asyncio
from collections import deque
from collections.abc import Sequence
from fractions import Fraction

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from telefuser_grpc.webrtc.media import black
from telefuser_grpc.webrtc.pacing import Clock, Pacer

CLOCK_RATE = 90_000
PLACEHOLDER = (640, 360)


class VideoTrack(MediaStreamTrack):
    """Shows one picture each period, and the last one again where no new one waits.

    Before the first picture it waits for `patience_seconds`, and then shows black.
    """

    kind = "video"

    def __init__(
        self, *, fps: float, buffer_seconds: float, patience_seconds: float, clock: Clock
    ) -> None:
        super().__init__()
        self._capacity = max(1, round(fps * buffer_seconds))
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._fps = fps
        self._pacer = Pacer(rate=fps, slack_seconds=1 / fps, clock=clock)
        self._queue: deque[VideoFrame] = deque()
        self._last: VideoFrame | None = None
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    def put(self, frames: Sequence[VideoFrame]) -> int:
        """Queues pictures that belong together, and returns how many older ones were dropped."""
        surplus = self._surplus(len(frames))
        for _ in range(surplus):
            self._queue.popleft()
        self._queue.extend(frames)
        if frames:
            self._arrived.set()
        return surplus

    async def room_for(self, count: int) -> None:
        """Waits until so many pictures can be queued without dropping one."""
        while self._surplus(count) and self.readyState == "live":
            self._taken.clear()
            await self._taken.wait()

    async def recv(self) -> VideoFrame:
        """Returns the picture of the next period, when that begins."""
        if self._last is None and not self._queue and self._patience_seconds:
            await self._clock.wait(self._arrived, self._patience_seconds)
            self._patience_seconds = 0
        number = await self._pacer.tick()
        if self.readyState != "live":
            raise MediaStreamError
        frame = self._next()
        frame.pts = round(number * CLOCK_RATE / self._fps)
        frame.time_base = Fraction(1, CLOCK_RATE)
        return frame

    def stop(self) -> None:
        """Ends the track, and every wait for it."""
        super().stop()
        self._arrived.set()
        self._taken.set()

    def _surplus(self, count: int) -> int:
        return max(0, len(self._queue) + count - max(self._capacity, count))

    def _next(self) -> VideoFrame:
        if self._queue:
            self._last = self._queue.popleft()
            self._taken.set()
        elif self._last is None:
            self._last = black(*PLACEHOLDER)
        return self._last
