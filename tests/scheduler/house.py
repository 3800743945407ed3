"""What the scheduler's tests arrange and ask."""

from typing import Any

from telefuser_grpc.domain.task import StateChange, Task, TaskState
from telefuser_grpc.scheduler.limits import Limits
from telefuser_grpc.scheduler.scheduler import Scheduler
from tests.fakes.artifacts import MemoryArtifactStore
from tests.fakes.builders import make_task
from tests.fakes.replicas import FakePool, Script
from tests.fakes.tasks import MemoryTaskStore

LIMITS = Limits(queue=4, drain_seconds=0.0, cancel_seconds=0.5)


class House:
    """A scheduler and the fakes around it."""

    def __init__(
        self,
        *,
        tasks: MemoryTaskStore,
        pool: FakePool,
        artifacts: MemoryArtifactStore,
        limits: Limits = LIMITS,
    ) -> None:
        self.tasks = tasks
        self.pool = pool
        self.artifacts = artifacts
        self.scheduler = Scheduler(tasks=tasks, replicas=pool, artifacts=artifacts, limits=limits)

    async def submit(self, *scripts: Script, task_id: str = "", **changes: Any) -> Task:
        """Stores and submits a task that follows a script at each attempt."""
        task = make_task(task_id, **changes)
        self.pool.scripts[task.id] = list(scripts)
        stored = await self.tasks.create(task)
        self.scheduler.submit(stored)
        return stored

    async def ended(self, task: Task) -> Task:
        """Waits for a task's end."""
        async for _ in self.tasks.watch(task.id):
            pass
        return await self.tasks.get(task.id)

    async def reached(self, task: Task, state: TaskState, *, times: int = 1) -> Task:
        """Waits until a task has come into a state so many times."""
        async for event in self.tasks.watch(task.id):
            if isinstance(event.change, StateChange) and event.change.state is state:
                times -= 1
            if not times:
                break
        return await self.tasks.get(task.id)

    async def states(self, task: Task) -> list[TaskState]:
        """Returns the states that an ended task went through."""
        return [
            event.change.state
            async for event in self.tasks.watch(task.id)
            if isinstance(event.change, StateChange)
        ]
