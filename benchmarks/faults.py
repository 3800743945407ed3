"""How fast work stops when it is told to, and is taken up again when its process has died."""

import asyncio
import os
import shutil
import signal
import time
from datetime import UTC

from benchmarks import native, stored
from benchmarks.lab import Lab, Rows
from benchmarks.row import Row, at_most
from telefuser_grpc._gen.telefuser.v1 import system_service_pb2, task_pb2

STEP_MILLISECONDS = 20
LONG = {"steps": 10_000, "milliseconds": STEP_MILLISECONDS}
STORED = 10_000
PENDING = 300


async def cancel(lab: Lab) -> Rows:
    """A cancel in the middle of 20 ms steps, to CANCELLED: the work has really stopped."""
    waits, steps = [], []
    async with (
        lab.service("steps", gateway=False) as service,
        native.connected(service.port) as client,
    ):
        for _ in range(lab.count(30, least=10)):
            wait, more = await _cancelled(client)
            waits.append(wait)
            steps.append(more)
    goals = (at_most(STEP_MILLISECONDS + 100, "max"),)
    yield Row(f"cancel to CANCELLED, {STEP_MILLISECONDS} ms steps", "ms", waits, goals)
    yield Row("steps ended after the cancel was sent", "steps", steps, (at_most(1, "max"),))


async def death(lab: Lab) -> Rows:
    """`kill -9` of the replica that runs a task, with another one idle, and without."""
    for replicas in (2, 1):
        seen, retried = [], []
        async with (
            lab.service("steps", gateway=False, num_replicas=replicas) as service,
            native.connected(service.port) as client,
        ):
            for _ in range(lab.count(6)):
                await _until_all_idle(client, replicas)
                death_seen, retry = await _killed(client)
                seen.append(death_seen)
                retried.append(retry)
        where = "another replica idle" if replicas > 1 else "the only replica"
        yield Row(f"kill -9 to death seen, {where}", "ms", seen, (at_most(100, "max"),))
        yield Row(f"kill -9 to the retry's start, {where}", "ms", retried)


async def boot(lab: Lab) -> Rows:
    """A start with an empty store, and one that finds work that an earlier server has left."""
    healthy, ready = [], []
    for _ in range(lab.count(5)):
        async with lab.service("noop") as service:
            healthy.append(service.healthy_seconds)
            ready.append(service.ready_seconds)
    yield Row("start to healthy through Envoy", "s", healthy, (at_most(1.5),))
    yield Row("start to pipeline loaded", "s", ready)
    healthy, running = [], []
    for _ in range(lab.count(3, least=1)):
        folder = lab.folder()
        await asyncio.to_thread(stored.store, folder, 1, STORED, pending=PENDING)
        async with (
            lab.service("noop", folder=folder, **stored.KEPT) as service,
            native.connected(service.port) as client,
        ):
            healthy.append(service.healthy_seconds)
            first = stored.task_id(STORED - PENDING + 1)
            await client.complete(first)
            begun = (await client.get(first)).start_time.ToDatetime(UTC)
            running.append(begun.timestamp() - service.started_at)
        await asyncio.to_thread(shutil.rmtree, folder)
    name = f"{STORED:,} tasks stored, {PENDING} waiting"
    yield Row(f"start to healthy, {name}", "s", healthy)
    yield Row(f"start to the first recovered task's run, {name}", "s", running)


async def _cancelled(client: native.Native) -> tuple[float, int]:
    task_id = await client.create(**LONG)
    last_step = step_at_cancel = 0
    async for event in client.watch(task_id):
        if event.HasField("progress"):
            last_step = event.progress.step
        if last_step == 5 and not step_at_cancel:
            step_at_cancel = last_step
            start = time.perf_counter()
            await client.cancel(task_id)
    wait = (time.perf_counter() - start) * 1000
    return wait, last_step - step_at_cancel


async def _killed(client: native.Native) -> tuple[float, float]:
    """Kills the replica of a new task; returns milliseconds to the notice and to the retry."""
    task_id = await client.create(**LONG)
    start = seen = retried = 0.0
    async for event in client.watch(task_id):
        now = time.perf_counter()
        if event.progress.step == 2 and not start:
            pid = await _pid_of(client, task_id)
            start = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
        elif start and event.state_change.state == task_pb2.TASK_STATE_PENDING:
            seen = now
        elif start and event.state_change.state == task_pb2.TASK_STATE_PROCESSING:
            retried = now
            await client.cancel(task_id)
    return (seen - start) * 1000, (retried - start) * 1000


async def _pid_of(client: native.Native, task_id: str) -> int:
    replicas = (await client.status()).replicas
    return next(each.pid for each in replicas if each.task_id == task_id)


async def _until_all_idle(client: native.Native, replicas: int) -> None:
    async def idle() -> int:
        states = [each.state for each in (await client.status()).replicas]
        return states.count(system_service_pb2.REPLICA_STATE_IDLE)

    while await idle() < replicas:  # noqa: ASYNC110 - the service announces no state of replicas
        await asyncio.sleep(0.02)
