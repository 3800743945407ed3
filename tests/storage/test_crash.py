"""kill -9 at any moment: what anyone was told is on disk, and stays the same."""

import asyncio
import random
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from telefuser_grpc.domain.task import Progress, StateChange, Task, TaskEvent, TaskState
from telefuser_grpc.errors import ReplicaDied, TaskCancelled
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from tests.fakes.builders import NOW, ended, make_task, started

ROOT = Path(__file__).parents[2]
ROUNDS = 20

Stories = dict[str, list[TaskEvent]]


@dataclass(frozen=True)
class Told:
    """What a killed server had said: acknowledged tasks, and events as JSON values."""

    tasks: list[Task]
    events: list[dict[str, Any]]


async def told_before_death(path: Path, name: str, line_count: int) -> Told:
    """Runs a busy server, kills it after some lines, and returns all that it has said."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.storage.busy_server", str(path), name),
        stdout=PIPE,
        cwd=ROOT,
    )
    assert server.stdout
    lines = [await server.stdout.readline() for _ in range(line_count)]
    server.kill()
    lines += (await server.stdout.read()).splitlines(keepends=True)
    assert await server.wait() == -signal.SIGKILL
    whole = [line.partition(b" ") for line in lines if line.endswith(b"\n")]
    return Told(
        tasks=[msgspec.json.decode(body, type=Task) for kind, _, body in whole if kind == b"task"],
        events=[msgspec.json.decode(body) for kind, _, body in whole if kind == b"event"],
    )


async def story(store: SqliteTaskStore, task_id: str) -> list[TaskEvent]:
    """Reads a task's events as far as they are on disk."""
    last = (await store.get(task_id)).sequence
    events: list[TaskEvent] = []
    async with aclosing(store.watch(task_id)) as watched:
        while len(events) < last:
            events.append(await anext(watched))
    return events


async def test_killed_server_loses_nothing_that_it_has_told(tmp_path: Path) -> None:
    moments = random.Random(20)
    path = tmp_path / "tasks.db"
    stories: Stories = {}

    for number in range(ROUNDS):
        told = await told_before_death(path, f"round{number}", moments.randrange(1, 200))

        async with SqliteTaskStore(path) as store:
            told_ids = {task.id for task in told.tasks} | {each["task_id"] for each in told.events}
            stories |= {task_id: await story(store, task_id) for task_id in told_ids}
            check_tasks(told, stories)
            check_events(told, stories)
            for task in await store.unfinished():
                await go_on(store, task)

    async with SqliteTaskStore(path) as store:
        for task_id, before in stories.items():
            after = await story(store, task_id)
            assert after[: len(before)] == before
            assert [event.is_last for event in after] == [False] * (len(after) - 1) + [True]


def check_tasks(told: Told, stories: Stories) -> None:
    """Holds every acknowledged write against the story on disk."""
    assert told.tasks or told.events
    for task in told.tasks:
        events = stories[task.id]
        change = events[task.sequence - 1].change
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert isinstance(change, StateChange)
        assert change.state is task.state


def check_events(told: Told, stories: Stories) -> None:
    """Holds every event that a watcher saw against the story on disk."""
    for seen in told.events:
        stored = stories[seen["task_id"]][seen["sequence"] - 1]
        assert msgspec.json.decode(msgspec.json.encode(stored)) == seen


async def go_on(store: SqliteTaskStore, task: Task) -> None:
    """Ends a task that was cut off, as a server does that starts again."""
    if task.state is TaskState.CANCELLING:
        await store.save(task.cancel(TaskCancelled(), NOW))
        return
    if task.state is TaskState.PROCESSING:
        task = await store.save(task.requeue(ReplicaDied("the server was killed")))
    running = await store.save(started(task))
    store.append(task.id, running.attempt, Progress(step=1, steps=1))
    done = await store.save(ended(running))
    assert done.sequence == running.sequence + 2


async def test_repeated_request_finds_its_task_after_a_kill(tmp_path: Path) -> None:
    told = await told_before_death(tmp_path / "tasks.db", "first", 60)

    async with SqliteTaskStore(tmp_path / "tasks.db") as store:
        for task in told.tasks:
            assert (await store.create(make_task(request_id=task.request_id))).id == task.id
