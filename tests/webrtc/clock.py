"""A clock that runs only when somebody waits for it."""

import asyncio


class FakeClock:
    """Lets what waits for an event see it happen before any time passes."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.time += seconds

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        if not event.is_set():
            self.time += seconds
