"""Owns every task from its admission to its end: nothing else changes a task."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from telefuser_grpc.domain.queue import Queue
from telefuser_grpc.domain.replica import ReplicaState
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import NoCapacity, QueueFull, ReplicaDied, ShuttingDown
from telefuser_grpc.scheduler.batching import Batches
from telefuser_grpc.scheduler.estimates import Estimates
from telefuser_grpc.scheduler.execution import Execution, World
from telefuser_grpc.scheduler.limits import Limits
from telefuser_grpc.scheduler.ports import ArtifactStore, ReplicaPool, TaskStore

RUNNING_STATES = (TaskState.PROCESSING, TaskState.CANCELLING)


class Scheduler:
    """Runs each admitted task on a leased replica, first come, first served."""

    def __init__(
        self,
        *,
        tasks: TaskStore,
        replicas: ReplicaPool,
        artifacts: ArtifactStore,
        limits: Limits,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._group = asyncio.TaskGroup()
        self._replicas = replicas
        self._world = World(
            tasks=tasks,
            batches=Batches(replicas=replicas, limits=limits),
            artifacts=artifacts,
            limits=limits,
            clock=clock,
            estimates=Estimates(),
            opened=asyncio.Event(),
            spawn=self._group.create_task,
            lanes={name: asyncio.Semaphore(count) for name, count in limits.together.items()},
        )
        self._executions: dict[str, Execution] = {}
        self._reserved = 0
        self._ended = 0
        self._is_closing = False
        self._is_idle = asyncio.Event()

    async def __aenter__(self) -> "Scheduler":
        await self._group.__aenter__()
        await self._recover()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()
        await self._group.__aexit__(None, None, None)

    def open(self) -> None:
        """Begins to run tasks: the pipeline is loaded."""
        self._world.opened.set()

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Holds a place in the queue while a task is being admitted.

        Raises:
            QueueFull, ShuttingDown, NoCapacity
        """
        if self._is_closing:
            raise ShuttingDown
        if self._replicas.is_lost:
            raise NoCapacity
        if len(self._executions) + self._reserved >= self.limits.queue:
            raise QueueFull(self.limits.queue, self._seconds_to_room())
        self._reserved += 1
        try:
            yield
        finally:
            self._reserved -= 1

    def submit(self, task: Task) -> None:
        """Takes over a stored task. One that has ended or is here already is left alone."""
        if task.state.is_terminal or task.id in self._executions:
            return
        execution = self._executions[task.id] = Execution(task, self._world)
        self._is_idle.clear()
        work = self._group.create_task(execution.live(), name=task.id)
        work.add_done_callback(lambda _: self._forget(task.id))

    async def cancel(self, task_id: str) -> Task:
        """Stops a task: at once while it waits, at its next step while it runs.

        Returns the task as it is when the request was taken; one that has ended is unchanged.

        Raises:
            TaskNotFound, StorageFull
        """
        execution = self._executions.get(task_id)
        if execution is None:
            return await self._world.tasks.get(task_id)
        return await execution.cancel()

    def holds(self, task_id: str) -> bool:
        """Tells whether a task waits or runs here."""
        execution = self._executions.get(task_id)
        return execution is not None and not execution.task.state.is_terminal

    def runs(self, task_id: str) -> bool:
        """Tells whether a task runs here."""
        execution = self._executions.get(task_id)
        return execution is not None and execution.task.state in RUNNING_STATES

    def owner_of(self, task_id: str) -> str:
        """Returns who owns a task that waits or runs here; "" for any other."""
        execution = self._executions.get(task_id)
        return execution.task.owner if execution else ""

    async def delete(self, task_id: str) -> None:
        """Removes a task that has ended, its events and its files.

        Raises:
            TaskNotFound, TaskNotEnded
        """
        await self._world.tasks.delete(task_id)
        await self._world.artifacts.delete(task_id)

    def queue(self) -> Queue:
        """Returns what waits and what runs, with expected starts where they can be told."""
        waiting, running = self._in(TaskState.PENDING), self._in(*RUNNING_STATES)
        status = self._replicas.status()
        alive = sum(replica.state is not ReplicaState.DEAD for replica in status)
        starts = self._world.estimates.starts(
            waiting, running, replicas=alive, now=self._world.clock()
        )
        return Queue(
            waiting=tuple(task.id for task in waiting),
            running=tuple(task.id for task in running),
            limit=self.limits.queue,
            expected_starts=starts,
            ended_count=self._ended,
        )

    def running(self) -> list[str]:
        """Returns the ids of the tasks that run, the oldest first."""
        return [task.id for task in self._in(*RUNNING_STATES)]

    @property
    def limits(self) -> Limits:
        """What bounds the queue and a run."""
        return self._world.limits

    @property
    def is_closing(self) -> bool:
        """Tells whether the server stops and admits nothing new."""
        return self._is_closing

    async def _recover(self) -> None:
        """Takes up what an earlier server left: waiting tasks in order, interrupted ones again."""
        for task in await self._world.tasks.unfinished():
            execution = Execution(task, self._world)
            if task.state is not TaskState.PENDING:
                await execution.interrupt(ReplicaDied("The server stopped during the run"))
            self.submit(execution.task)

    async def drain(self) -> None:
        """Admits nothing more, gives running tasks a moment, then stops them for the next server.

        What waits stays stored and waits for the next server too.
        """
        self._is_closing = True
        for execution in list(self._executions.values()):
            if execution.task.state is TaskState.PENDING:
                await execution.halt()
        try:
            async with asyncio.timeout(self.limits.drain_seconds):
                await self._until_idle()
        except TimeoutError:
            for execution in list(self._executions.values()):
                await execution.halt()
            await self._until_idle()

    async def _until_idle(self) -> None:
        while self._executions:
            await self._is_idle.wait()

    def _forget(self, task_id: str) -> None:
        task = self._executions.pop(task_id).task
        self._ended += task.state.is_terminal
        if not self._executions:
            self._is_idle.set()

    def _seconds_to_room(self) -> float:
        running = self._in(*RUNNING_STATES)
        return self._world.estimates.seconds_to_room(running, self._world.clock())

    def _in(self, *states: TaskState) -> list[Task]:
        tasks = (execution.task for execution in self._executions.values())
        return [task for task in tasks if task.state in states]
