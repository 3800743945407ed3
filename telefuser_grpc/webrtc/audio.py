"""The sound that a client hears, in pieces of 20 ms."""

import asyncio
from collections import deque
from fractions import Fraction

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from telefuser_grpc.webrtc.media import BYTES_OF_SAMPLE, SAMPLE_RATE, mono_frame
from telefuser_grpc.webrtc.pacing import Clock, Pacer

PIECES_PER_SECOND = 50
SAMPLES = SAMPLE_RATE // PIECES_PER_SECOND
PIECE_BYTES = SAMPLES * BYTES_OF_SAMPLE
PATIENCE_SECONDS = 2.0
SLACK_SECONDS = 0.2  # a gap is heard, a burst is not
CAPACITY = 200


class AudioTrack(MediaStreamTrack):
    """Plays what it is given; after 2 s without anything, silence until there is more."""

    kind = "audio"

    def __init__(self, *, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._pacer = Pacer(rate=PIECES_PER_SECOND, slack_seconds=SLACK_SECONDS, clock=clock)
        self._queue: deque[bytes] = deque(maxlen=CAPACITY)
        self._rest = b""
        self._heard_at: float | None = None
        self._arrived = asyncio.Event()

    def put(self, pcm: bytes) -> None:
        """Queues samples of one channel at 48 kHz."""
        if pcm:
            self._queue.append(pcm)
            self._arrived.set()

    def skip(self, seconds: float) -> None:
        """Drops the oldest of what waits, as much as was dropped of the video."""
        self._take(round(seconds * SAMPLE_RATE) * BYTES_OF_SAMPLE)

    async def recv(self) -> AudioFrame:
        """Returns the next piece, when it is due."""
        await self._wait_for_piece()
        number = await self._pacer.tick()
        if self.readyState != "live":
            raise MediaStreamError
        frame = mono_frame(self._piece())
        frame.pts = number * SAMPLES
        frame.time_base = Fraction(1, SAMPLE_RATE)
        return frame

    def stop(self) -> None:
        """Ends the track, and the wait for it."""
        super().stop()
        self._arrived.set()

    async def _wait_for_piece(self) -> None:
        if self._heard_at is None:
            self._heard_at = self._clock.now()
        deadline = self._heard_at + PATIENCE_SECONDS
        while not self._has_piece() and self.readyState == "live":
            left = deadline - self._clock.now()
            if left <= 0:
                return
            self._arrived.clear()
            await self._clock.wait(self._arrived, left)

    def _has_piece(self) -> bool:
        return len(self._rest) + sum(map(len, self._queue)) >= PIECE_BYTES

    def _piece(self) -> bytes:
        if self._has_piece():
            self._heard_at = self._clock.now()
        return self._take(PIECE_BYTES).ljust(PIECE_BYTES, b"\0")

    def _take(self, length: int) -> bytes:
        parts = [self._rest]
        missing = length - len(self._rest)
        while missing > 0 and self._queue:
            parts.append(self._queue.popleft())
            missing -= len(parts[-1])
        pcm = b"".join(parts)
        self._rest = pcm[length:]
        return pcm[:length]
