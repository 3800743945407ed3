"""A process that runs tasks on a store until it is killed, and tells what it was told.

Each line on stdout is what a caller knew at that moment: `task <json>` for an acknowledged write,
`event <json>` for an event that a watcher saw.
"""

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

import msgspec

from telefuser_grpc.domain.task import Progress, Task, TaskEvent, TaskState
from telefuser_grpc.errors import TaskCancelled
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from tests.fakes.builders import NOW, ended, make_task, started


def tell(what: Task | TaskEvent) -> None:
    kind = "task" if isinstance(what, Task) else "event"
    os.write(1, f"{kind} {msgspec.json.encode(what).decode()}\n".encode())


async def follow(store: SqliteTaskStore, task_id: str) -> None:
    async for event in store.watch(task_id):
        tell(event)


async def live(store: SqliteTaskStore, worker: str) -> None:
    async with asyncio.TaskGroup() as watching:
        for number in count():
            task = make_task(f"{worker}_{number}", request_id=f"r_{worker}_{number}")
            task = await store.create(task)
            tell(task)
            watching.create_task(follow(store, task.id))
            task = await store.save(started(task))
            tell(task)
            for step in range(3):
                store.append(task.id, 1, Progress(step=step, steps=3))
            if number % 3:
                task = await store.save(ended(task))
            else:
                tell(await store.save(task.cancelling()))
                stopping = await store.get(task.id)
                task = await store.save(stopping.cancel(TaskCancelled(), NOW))
            tell(task)
            assert task.state in (TaskState.COMPLETED, TaskState.CANCELLED)


async def main(path: Path, name: str) -> None:
    async with SqliteTaskStore(path) as store, asyncio.TaskGroup() as workers:
        for number in range(6):
            workers.create_task(live(store, f"{name}_{number}"))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
