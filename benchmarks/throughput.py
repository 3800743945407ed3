"""How many tasks a second: admitted only, and carried to their end."""

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial

from benchmarks import native, rest
from benchmarks.lab import CREATORS, Lab, Rows, spread
from benchmarks.latency import BODY, CREATE
from benchmarks.machine import cpu_seconds
from benchmarks.row import Row, at_least
from benchmarks.service import Service
from telefuser_grpc._gen.telefuser.v1 import system_service_pb2

ROUNDS = 3
LOOK_SECONDS = 0.005
HOUR = {"steps": 3600, "milliseconds": 1000}  # occupies a replica for as long as we look


async def tasks(lab: Lab) -> Rows:
    """No-op tasks from create to end, with callers enough to keep the service busy."""
    count = lab.count(1000, least=300)
    for replicas, goals in ((1, ()), (2, (at_least(500),))):
        created, ended, busy = [], [], []
        async with (
            lab.service("noop", gateway=False, num_replicas=replicas) as service,
            native.connected(service.port) as client,
        ):
            await run_tasks(client, count // 5)
            for _ in range(ROUNDS):
                before = cpu_seconds(service.pid)
                create_rate, task_rate = await run_tasks(client, count)
                busy.append((cpu_seconds(service.pid) - before) / count * 1000)
                created.append(create_rate)
                ended.append(task_rate)
        yield Row(f"no-op tasks carried to their end, {_replicas(replicas)}", "/s", ended, goals)
        yield Row(f"creates meanwhile, {_replicas(replicas)}", "/s", created)
        yield Row(f"server's CPU time for a no-op task, {_replicas(replicas)}", "ms", busy)


async def creates(lab: Lab) -> Rows:
    """Durable creates while the only replica is busy with a long task."""
    count = lab.count(1500, least=300)
    async with lab.service("steps") as service, AsyncExitStack() as stack:
        client = await stack.enter_async_context(native.connected(service.port))
        await client.create(**HOUR)
        async with lab.service("steps", gateway=False) as bare:
            yield await _native_creates("creates, native direct", bare, count)
        yield await _native_creates("creates, native through Envoy", service, count)
        webs = [
            await stack.enter_async_context(rest.connected(service.port)) for _ in range(CREATORS)
        ]
        rates = []
        for _ in range(ROUNDS):
            posts = [partial(web.post, CREATE, BODY) for web in webs]
            rates.append(count / await spread(count, posts))
        yield Row("creates, REST", "/s", rates, (at_least(600),))


async def run_tasks(client: native.Native, count: int) -> tuple[float, float]:
    """Runs tasks to their end; returns how many were created and how many ended in a second."""
    start = time.perf_counter()
    create_seconds = await spread(count, [client.create] * CREATORS)
    while _is_busy(await client.status()):  # noqa: ASYNC110 - as callers do
        await asyncio.sleep(LOOK_SECONDS)
    return count / create_seconds, count / (time.perf_counter() - start)


def _is_busy(status: system_service_pb2.GetStatusResponse) -> bool:
    return bool(status.pending_count + status.processing_count)


async def _native_creates(name: str, service: Service, count: int) -> Row:
    async with native.connected(service.port) as client:
        await client.create(**HOUR)
        rates = [count / await spread(count, [client.create] * CREATORS) for _ in range(ROUNDS)]
    return Row(name, "/s", rates, (at_least(1000),))


def _replicas(number: int) -> str:
    return f"{number} replica" + "s" * (number > 1)
