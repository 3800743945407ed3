"""Streams of images: which previews are sent, and how a quiet stream is kept open."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from telefuser_grpc.domain.task import Preview, Progress

OPENING = b": streaming\n\n"
HEARTBEAT = b": heartbeat\n\n"
HEARTBEAT_SECONDS = 15.0


@dataclass(slots=True)
class PreviewChoice:
    """Chooses previews that lie evenly in a run, as they come; `wanted` of them at most.

    What was passed over is kept, so that a run with few previews shows them all in the end.
    """

    wanted: int
    steps: int = 0
    sent: int = 0
    _passed_over: list[Preview] = field(default_factory=list)

    def note(self, progress: Progress) -> None:
        """Learns how many steps there are."""
        self.steps = progress.steps

    def take(self, preview: Preview) -> bool:
        """Tells whether a preview is to be sent now."""
        if self.sent == self.wanted:
            return False
        if preview.step * (self.wanted + 1) >= (self.sent + 1) * self.steps:
            self.sent += 1
            self._passed_over.clear()
            return True
        self._passed_over = [*self._passed_over, preview][-self.wanted :]
        return False

    def rest(self) -> list[Preview]:
        """Returns what is to be sent at the end of the run."""
        missing = self.wanted - self.sent
        return self._passed_over[-missing:] if missing else []


async def kept_alive(
    frames: AsyncIterator[bytes], *, seconds: float = HEARTBEAT_SECONDS
) -> AsyncGenerator[bytes, None]:
    """Yields a frame at once, then each that comes, and heartbeats while none does."""
    yield OPENING
    upcoming = asyncio.ensure_future(anext(frames, None))
    try:
        while True:
            await asyncio.wait({upcoming}, timeout=seconds)
            if not upcoming.done():
                yield HEARTBEAT
                continue
            frame = upcoming.result()
            if frame is None:
                return
            yield frame
            upcoming = asyncio.ensure_future(anext(frames, None))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
