"""Keeps tracks to the clock: media leave when they are due, neither in bursts nor drifting."""

import asyncio
import math
import time
from typing import Protocol


class Clock(Protocol):
    """Time, as tracks see it."""

    def now(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Lets time pass."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Waits for an event, or until the seconds have passed."""
        ...


class MonotonicClock:
    """The time of the machine."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


class Pacer:
    """Counts periods of equal length from its first tick on.

    One that is late by less than the slack catches up, so that nothing shifts; one that is later
    leaves out the periods that have passed.
    """

    def __init__(self, *, rate: float, slack_seconds: float, clock: Clock) -> None:
        self._rate = rate
        self._slack_seconds = slack_seconds
        self._clock = clock
        self._start: float | None = None
        self._number = 0

    async def tick(self) -> int:
        """Waits until the next period begins, and returns its number."""
        now = self._clock.now()
        if self._start is None:
            self._start = now
            return 0
        self._number += 1
        wait = self._start + self._number / self._rate - now
        if wait > 0:
            await self._clock.sleep(wait)
        elif -wait >= self._slack_seconds:
            self._number = max(self._number, math.floor((now - self._start) * self._rate))
        return self._number
