"""Where benchmarks run: a temporary folder, how much is measured, and a service for each."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.row import Row
from benchmarks.service import Service, serving

PIPELINES = Path(__file__).parent / "pipelines"
CREATORS = 32  # concurrent callers where a rate is measured
QUEUE = 100_000
QUICK_SHARE = 10

Rows = AsyncGenerator[Row, None]


@dataclass(frozen=True, slots=True)
class Lab:
    """What a benchmark is given."""

    root: Path
    is_quick: bool

    def count(self, number: int, *, least: int = 3) -> int:
        """Returns how many samples to take: fewer in a quick run."""
        return max(least, number // QUICK_SHARE) if self.is_quick else number

    def folder(self) -> Path:
        """Makes a new folder; whoever made it removes it with `shutil.rmtree`, or the lab does."""
        return Path(tempfile.mkdtemp(dir=self.root))

    @asynccontextmanager
    async def service(
        self,
        pipeline: str,
        *,
        folder: Path | None = None,
        gateway: bool = True,
        **settings: object,
    ) -> AsyncIterator[Service]:
        """Runs a service with one of our pipelines, in a folder of its own unless one is given."""
        own = folder or self.folder()
        settings = {"max_queue_size": QUEUE, **settings}
        file = PIPELINES / f"{pipeline}.py"
        async with serving(file, own, gateway=gateway, **settings) as service:
            yield service
        if folder is None:
            await asyncio.to_thread(shutil.rmtree, own)

    @asynccontextmanager
    async def streams(self, pipeline: str, *, gateway: bool = True) -> AsyncIterator[Service]:
        """Runs a service of sessions with one of our stream pipelines."""
        file, own = PIPELINES / f"{pipeline}.py", self.folder()
        settings = {"host": "127.0.0.1", "stun_servers": "[]"}
        async with serving(file, own, verb="stream-serve", gateway=gateway, **settings) as service:
            yield service
        await asyncio.to_thread(shutil.rmtree, own)


async def milliseconds(act: Awaitable[object]) -> float:
    """Times an act."""
    start = time.perf_counter()
    await act
    return (time.perf_counter() - start) * 1000


async def spread(count: int, acts: Sequence[Callable[[], Awaitable[object]]]) -> float:
    """Does `count` acts, the given ones concurrently again and again; returns the seconds."""
    numbers = iter(range(count))

    async def repeat(act: Callable[[], Awaitable[object]]) -> None:
        for _ in numbers:
            await act()

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for act in acts:
            group.create_task(repeat(act))
    return time.perf_counter() - start
