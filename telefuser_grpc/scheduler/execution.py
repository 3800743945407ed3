"""The life of one task, from its admission to its end."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from telefuser_grpc.domain.artifact import Artifact, OutputFile
from telefuser_grpc.domain.job import Job
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import (
    InternalFault,
    NoCapacity,
    ReplicaDied,
    StorageFull,
    TaskCancelled,
    TaskTimeout,
    TeleFuserError,
)
from telefuser_grpc.scheduler.batch import Place
from telefuser_grpc.scheduler.batching import Batches
from telefuser_grpc.scheduler.estimates import Estimates
from telefuser_grpc.scheduler.limits import Limits, NoCapacityPolicy
from telefuser_grpc.scheduler.ports import (
    ArtifactStore,
    Run,
    StaleAttempt,
    TaskStore,
)
from telefuser_grpc.scheduler.spans import current_trace_parent, span
from telefuser_grpc.scheduler.watchdog import watched

logger = structlog.get_logger()

STORAGE_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What an execution works with; `opened` is set when the pipeline is loaded.

    `lanes` say how many tasks run at once whose outputs are to lie in a folder of that name.
    """

    tasks: TaskStore
    batches: Batches
    artifacts: ArtifactStore
    limits: Limits
    clock: Callable[[], datetime]
    estimates: Estimates
    opened: asyncio.Event
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    lanes: Mapping[str, asyncio.Semaphore]


class Execution:
    """Carries one task to its end. `task` is its latest stored value; a lock orders the changes."""

    def __init__(self, task: Task, world: World) -> None:
        self.task = task
        self._world = world
        self._lock = asyncio.Lock()
        self._work: asyncio.Task[Any] | None = None
        self._run: Run | None = None
        self._is_halted = False

    async def live(self) -> None:
        """Tells the whole life."""
        self._work = asyncio.current_task()
        structlog.contextvars.bind_contextvars(task_id=self.task.id)
        try:
            with span("task", self.task.trace_parent, task_id=self.task.id, kind=self.task.kind):
                while not (self.task.state.is_terminal or self._is_halted):
                    await self._attempt()
        except StaleAttempt:
            logger.warning("task was changed elsewhere", state=self.task.state)
        except Exception:
            logger.exception("task broke the scheduler")
            await self._fail(InternalFault())

    async def cancel(self) -> Task:
        """Stops the work for the task's owner and returns the task as changed by that."""
        async with self._lock:
            if self.task.state is TaskState.PENDING:
                await self._discard_scratch()
                cancelled = self.task.cancel(TaskCancelled(), self._world.clock())
                self.task = await self._world.tasks.save(cancelled)
                self._call_off()
            elif self.task.state is TaskState.PROCESSING:
                self._stop_run()
                self.task = await self._world.tasks.save(self.task.cancelling())
        return self.task

    async def halt(self) -> None:
        """Stops the work because the server stops; the task waits for the next server."""
        self._is_halted = True
        async with self._lock:
            if self.task.state is TaskState.PENDING:
                self._call_off()
            else:
                self._stop_run()

    async def interrupt(self, death: ReplicaDied) -> None:
        """Lets the task wait again after the death of its process, or fail if it died too often."""
        async with self._lock:
            self.task = await self._save(self._after_death(death))

    async def _attempt(self) -> None:
        await self._world.opened.wait()
        try:
            async with AsyncExitStack() as lease:
                replica = await self._leased(lease)
                with span("task.run", replica=replica.id):
                    run = await self._begin(replica)
                    await self._follow(run)
            await self._complete(run)
        except ReplicaDied as death:
            await self.interrupt(death)
        except TaskCancelled:
            await self._end(self._after_stop)
        except NoCapacity as lack:
            await self._outlast(lack)
        except TeleFuserError as fault:
            await self._fail(fault)
        finally:
            self._run = None

    async def _leased(self, lease: AsyncExitStack) -> Place:
        with span("task.queue"):
            if lane := self._world.lanes.get(self.task.output_name.partition("/")[0]):
                await lease.enter_async_context(lane)
            return await lease.enter_async_context(self._world.batches.place(self.task))

    async def _begin(self, replica: Place) -> Run:
        """Starts the run while the disk takes its start: a crash ends the run with the server."""
        async with self._lock:
            starting = self.task.start(replica.id, self._world.clock())
            folder = await self._scratch(starting)
            saving = asyncio.create_task(self._save(starting))
            try:
                run = self._run = await replica.run(self._job(starting, folder))
            finally:
                self.task = await saving
        return run

    async def _scratch(self, task: Task) -> str:
        """Returns the attempt's folder; a task that makes no file has none."""
        if not task.output_name:
            return ""
        return await self._world.artifacts.prepare(task.id, task.attempt)

    async def _follow(self, run: Run) -> None:
        """Passes on what the replica tells until the frames are made and it is free again."""
        limits = self._world.limits
        updates = watched(
            run,
            task_seconds=limits.task_seconds,
            stall_seconds=limits.stall_seconds,
            stop_seconds=limits.cancel_seconds,
        )
        async for update in updates:
            self._world.tasks.append(self.task.id, self.task.attempt, update)

    async def _complete(self, run: Run) -> None:
        """Waits for the encoded files, takes them in and ends the task with them."""
        limits = self._world.limits
        try:
            async with asyncio.timeout(limits.task_seconds):
                report, files = await run.result()
        except TimeoutError:
            await run.stop(limits.cancel_seconds)
            raise TaskTimeout(limits.task_seconds) from None
        artifacts = await self._adopt(files)
        self._world.estimates.learn(
            self.task.kind, report.inference_seconds, batch_size=report.batch_size
        )
        await self._end(lambda task: task.complete(artifacts, report, self._world.clock()))

    async def _outlast(self, lack: NoCapacity) -> None:
        """Fails the task, or keeps it until its owner cancels it or the next server takes it up."""
        if self._world.limits.no_capacity is NoCapacityPolicy.FAIL:
            await self._fail(lack)
            return
        logger.warning("task waits for the next server")
        await asyncio.get_running_loop().create_future()

    async def _fail(self, error: TeleFuserError) -> None:
        await self._end(lambda task: task.fail(error, self._world.clock()))

    async def _adopt(self, files: Sequence[OutputFile]) -> tuple[Artifact, ...]:
        if not files:
            return ()
        with span("task.store"):
            return await self._world.artifacts.adopt(self.task.id, self.task.media_type, files)

    async def _end(self, change: Callable[[Task], Task]) -> None:
        """Saves what `change` makes of the task, or its cancellation where that was asked for."""
        async with self._lock:
            if self.task.state is TaskState.CANCELLING:
                cancelled = self.task.cancel(TaskCancelled(), self._world.clock())
                self.task = await self._save(cancelled)
            elif not self.task.state.is_terminal:
                self.task = await self._save(change(self.task))

    async def _save(self, task: Task) -> Task:
        """Saves, however long the disk is full: what has happened must not be lost."""
        if task.state.is_terminal:
            await self._discard_scratch()
        while True:
            try:
                return await self._world.tasks.save(task)
            except StorageFull:
                logger.error("task store refuses writes", state=task.state)
                await asyncio.sleep(STORAGE_RETRY_SECONDS)

    async def _discard_scratch(self) -> None:
        """Removes what attempts have left, before the end is saved: no later server looks for it.

        What cannot be removed is not worth a task.
        """
        if not (self.task.output_name and self.task.attempt):
            return
        try:
            await self._world.artifacts.discard_scratch(self.task.id)
        except OSError as error:
            logger.warning("scratch cannot be removed", error=error.strerror)

    def _after_death(self, death: ReplicaDied) -> Task:
        if self.task.state is TaskState.CANCELLING:
            return self.task.cancel(TaskCancelled(), self._world.clock())
        if self._is_halted:
            return self.task.requeue()
        if self.task.crashes + 1 < self._world.limits.attempts:
            return self.task.requeue(death)
        why = f"{death.message} ({self._world.limits.attempts} attempts)"
        return self.task.fail(ReplicaDied(why), self._world.clock())

    def _after_stop(self, task: Task) -> Task:
        if self._is_halted:
            return task.requeue()
        return task.cancel(TaskCancelled(), self._world.clock())

    def _call_off(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def _stop_run(self) -> None:
        if self._run is not None:
            self._world.spawn(self._run.stop(self._world.limits.cancel_seconds))

    def _job(self, task: Task, folder: str) -> Job:
        return Job(
            task_id=task.id,
            attempt=task.attempt,
            kind=task.kind,
            media_type=task.media_type,
            fields={**task.fields, "task": task.kind, "task_id": task.id},
            inputs={
                field: self._world.artifacts.input_path(task.id, name)
                for field, name in task.inputs.items()
            },
            output_folder=folder,
            output_name=task.output_name,
            trace_parent=current_trace_parent(),
        )
