"""A stream of tasks while processes die at random moments; the seed makes the plan repeatable."""

import asyncio
import hashlib
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from telefuser_grpc.client import AsyncClient
from telefuser_grpc.domain.task import StateChange, Task, TaskEvent, TaskState
from telefuser_grpc.errors import Unavailable
from telefuser_grpc.pipeline.probe import OUTPUT_LIMITS, probe
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.stories import is_gapless, words
from tests.fakes.service import Deaths, Service

SEED = 20
TASKS = 30
VICTIMS = ["server"] * 4 + ["replica 0", "replica 1"] * 2 + ["envoy"] * 2


@dataclass
class Records:
    """What the clients were told, by task; `moved` wakes those who wait for more of it."""

    acknowledged: dict[str, Task] = field(default_factory=dict)
    cancelled: dict[str, Task] = field(default_factory=dict)
    events: dict[str, list[TaskEvent]] = field(default_factory=dict)
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def count(self) -> int:
        """All events so far."""
        return sum(map(len, self.events.values()))

    @property
    def is_quiet(self) -> bool:
        """Tells whether every task is known to have ended, so that no event will come."""
        return all(told and told[-1].is_last for told in self.events.values())

    async def note(self, event: TaskEvent) -> None:
        async with self.moved:
            self.events[event.task_id].append(event)
            self.moved.notify_all()

    async def more(self, count: int) -> None:
        """Waits for so many more events, or the end of all tasks so far."""
        goal = self.count + count
        async with self.moved:
            await self.moved.wait_for(lambda: self.count >= goal or self.is_quiet)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    limits = {"num_replicas": 2, "max_attempts": 1000, "max_queue_size": 1000, "drain_seconds": 0.2}
    with Service(PUPPET, tmp_path, **limits) as service:
        yield service


async def test_nothing_is_lost_or_done_twice(service: Service, tmp_path: Path) -> None:
    records = Records()

    async with AsyncClient(service.target, reconnect_seconds=90) as client:
        async with asyncio.TaskGroup() as group:
            group.create_task(create_tasks(client, records, group))
            killing = group.create_task(kill_processes(service, records))
        assert killing.result() >= len(VICTIMS) // 2

        assert len(records.acknowledged) == TASKS
        for task_id in records.acknowledged:
            await check_story(client, records, task_id)
            await check_result(client, records, task_id, tmp_path)
            await check_repetition(client, records, task_id)
        status = await client.status()
    assert (status.pending_count, status.processing_count) == (0, 0)
    assert not list(service.cache.glob("tasks/*/tmp/*"))
    with Deaths([service.process.pid, *service.children().values()]) as deaths:
        service.signal(signal.SIGTERM)
        deaths.wait()


async def create_tasks(client: AsyncClient, records: Records, group: asyncio.TaskGroup) -> None:
    chance = random.Random(SEED)
    for number in range(TASKS):
        task = await insist_on_creating(client, number, chance.choice(["act", "t2v"]))
        records.acknowledged[task.id] = task
        records.events[task.id] = []
        group.create_task(watch(client, records, task.id))
        if chance.random() < 0.2:
            group.create_task(cancel_later(client, records, task.id, chance.randrange(20)))
        await records.more(chance.randrange(8))


async def insist_on_creating(client: AsyncClient, number: int, kind: str) -> Task:
    fields = {"steps": 3 + number % 7, "step_seconds": 0.03}
    while True:
        try:
            return await client.create(kind, "p", parameters=fields, request_id=f"request {number}")
        except Unavailable:
            continue  # the client has been patient already


async def watch(client: AsyncClient, records: Records, task_id: str) -> None:
    async for event in client.watch(task_id):
        await records.note(event)


async def cancel_later(client: AsyncClient, records: Records, task_id: str, events: int) -> None:
    await records.more(events)
    while task_id not in records.cancelled:
        try:
            records.cancelled[task_id] = await client.cancel(task_id)
        except Unavailable:
            await records.more(1)


async def kill_processes(service: Service, records: Records) -> int:
    """Returns how many were alive to be killed."""
    chance, kills = random.Random(SEED), 0
    for victim in chance.sample(VICTIMS, len(VICTIMS)):
        await records.more(chance.randrange(1, 20))
        if victim == "server":
            await asyncio.to_thread(service.kill)
            await asyncio.to_thread(service.start)
            kills += 1
        elif children := service.children():
            with suppress(ProcessLookupError):  # it has just died by itself
                os.kill(children.get(victim) or min(children.values()), signal.SIGKILL)
                kills += 1
    return kills


async def check_story(client: AsyncClient, records: Records, task_id: str) -> None:
    """The live story is the stored one: without a gap, and with one end."""
    told = records.events[task_id]
    changes = [event.change for event in told if isinstance(event.change, StateChange)]
    starts = [change for change in changes if change.state is TaskState.PROCESSING]
    attempts = [event.attempt for event in told]
    task = await client.get(task_id)

    assert told == [event async for event in client.watch(task_id)]
    assert is_gapless(told)
    assert [event.is_last for event in told].count(True) == 1
    assert changes[-1].state is task.state
    assert attempts == sorted(attempts)
    assert len(starts) == task.attempt
    assert words(told).count(TaskState.COMPLETED) == (task.state is TaskState.COMPLETED)


async def check_result(client: AsyncClient, records: Records, task_id: str, folder: Path) -> None:
    """What was completed is there and decodes; what was cancelled in time is not there."""
    task, cancelled = await client.get(task_id), records.cancelled.get(task_id)
    if cancelled is None or cancelled.state is TaskState.COMPLETED:
        assert task.state is TaskState.COMPLETED
    else:
        assert task.state is TaskState.CANCELLED
    assert len(task.artifacts) == (task.state is TaskState.COMPLETED and task.kind == "t2v")
    for artifact in task.artifacts:
        file = await client.download(artifact.id, folder / artifact.filename)
        assert hashlib.sha256(file.read_bytes()).hexdigest() == artifact.sha256
        assert probe(file, limits=OUTPUT_LIMITS).frame_count == 5


async def check_repetition(client: AsyncClient, records: Records, task_id: str) -> None:
    """The same request leads to the same task."""
    number = list(records.acknowledged).index(task_id)
    again = await insist_on_creating(client, number, records.acknowledged[task_id].kind)
    assert again.id == task_id
