"""How long a step takes from the pipeline to those who watch, be they one or a thousand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks import native
from benchmarks.http2 import Watchers
from benchmarks.lab import Lab, Rows
from benchmarks.row import Row, at_most
from benchmarks.service import Service
from telefuser_grpc._gen.telefuser.v1 import task_service_pb2

WATCH = "/telefuser.v1.TaskService/WatchTask"
CONNECTIONS = 10
STEP_MILLISECONDS = 300
UNCOUNTED_STEPS = 2  # after the last watcher has come
TOLD_SECONDS = 60.0


async def watchers(lab: Lab) -> Rows:
    """Steps every 300 ms; the watchers share 10 connections and one client process."""
    steps = lab.count(20, least=5)
    goals = (at_most(100, "p99"),)
    async with lab.service("steps", gateway=False) as service:
        for count in (1, 100, 1000):
            samples = await _latencies(lab, service, count, steps)
            yield Row(f"step to watcher, {count:,} watching, direct", "ms", samples, goals)
    async with lab.service("steps") as service:
        samples = await _latencies(lab, service, 1000, steps)
        yield Row("step to watcher, 1,000 watching, through Envoy", "ms", samples)


async def _latencies(lab: Lab, service: Service, count: int, steps: int) -> list[float]:
    times = lab.folder() / "times"
    task = {"steps": 10_000, "milliseconds": STEP_MILLISECONDS, "times": str(times)}
    crowd = Crowd(count)
    async with native.connected(service.port) as client:
        task_id = await client.create(**task)
        request = task_service_pb2.WatchTaskRequest(task_id=task_id)
        async with crowd.watching(service.port, request.SerializeToString()):
            first = await crowd.gathered() + UNCOUNTED_STEPS
            last = first + steps - 1
            await crowd.told_of(last)
        await client.cancel(task_id)
        async for _ in client.watch(task_id):
            pass
    return crowd.latencies(_done_at(times), first, last)


class Crowd:
    """Notes when each step has come to each of many watchers."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._arrivals: dict[int, list[int]] = {}
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def watching(self, port: int, request: bytes) -> AsyncIterator[None]:
        """Watches from the beginning of the block to its end."""
        loop = asyncio.get_running_loop()
        transports = []
        try:
            for number in range(min(CONNECTIONS, self._size)):
                transport, connection = await loop.create_connection(
                    lambda: Watchers(self._note), "127.0.0.1", port
                )
                transports.append(transport)
                for _ in range(number, self._size, CONNECTIONS):
                    connection.watch(WATCH, request)
            yield
        finally:
            for transport in transports:
                transport.abort()

    async def gathered(self) -> int:
        """Waits until some step has come to everybody and returns the latest step."""
        await self._until(lambda: any(map(self._is_known_to_all, self._arrivals)))
        return max(self._arrivals)

    async def told_of(self, step: int) -> None:
        """Waits until a step has come to everybody."""
        await self._until(lambda: self._is_known_to_all(step))

    def latencies(self, done_at: list[int], first: int, last: int) -> list[float]:
        """Returns the milliseconds from each step's end to each of its arrivals."""
        return [
            (arrival - done_at[step - 1]) / 1e6
            for step in range(first, last + 1)
            for arrival in self._arrivals[step]
        ]

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(TOLD_SECONDS):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def _is_known_to_all(self, step: int) -> bool:
        return len(self._arrivals.get(step, ())) >= self._size

    def _note(self, now: int, message: bytes) -> None:
        response = task_service_pb2.WatchTaskResponse.FromString(message)
        step = response.event.progress.step
        if step:
            self._arrivals.setdefault(step, []).append(now)
            if self._is_known_to_all(step):
                self._changed.set()


def _done_at(times: Path) -> list[int]:
    return list(map(int, times.read_text().split()))
