"""Lends replicas to tasks: those that can be made together share a lease where that pays.

Nobody waits for companions: whoever is lent a replica takes along those who wait already, in
their order.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from telefuser_grpc.domain.batching import Batching
from telefuser_grpc.domain.job import Job
from telefuser_grpc.domain.task import Task
from telefuser_grpc.errors import ReplicaDied, TaskCancelled, TaskStalled, TaskTimeout
from telefuser_grpc.scheduler.batch_sizes import BatchSizes
from telefuser_grpc.scheduler.limits import Limits
from telefuser_grpc.scheduler.ports import Replica, ReplicaPool, Run

logger = structlog.get_logger()

LEAST_ATTEMPTS = 2  # so that a task which dies with others has one of its own left
SHARE_OF_TIMEOUT = 0.5  # so that no task fails because it was made with others
LOADING_SECONDS = 60.0  # what the death of a replica costs beside the run


class Place(Protocol):
    """Where a task is run."""

    @property
    def id(self) -> int:
        """The replica's number."""
        ...

    async def run(self, job: Job) -> Run:
        """Begins a job. Raises ReplicaDied, PipelineFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """With whom a task may share a lease: with others of its shape, so many at most."""

    shape: str
    limit: int


ALONE = Plan("", 1)


class Batches:
    """Knows who waits for a replica, and lets those join who fit."""

    def __init__(
        self,
        *,
        replicas: ReplicaPool,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replicas = replicas
        self._limits = limits
        self._clock = clock
        self._sizes = BatchSizes(longest_seconds=limits.task_seconds * SHARE_OF_TIMEOUT)
        self._batchings: Mapping[str, Batching] | None = None
        self._lines: dict[Plan, list[_Waiter]] = {}

    @asynccontextmanager
    async def place(self, task: Task) -> AsyncIterator[Place]:
        """Waits for a replica, or for a share of the lease of another task, and holds it.

        A task that has lost its replica goes first.

        Raises:
            NoCapacity: Every replica is dead and none will be started again.
        """
        waits_again = task.attempt > 0
        if not await self._may_batch():
            async with self._replicas.lease(first=waits_again) as replica:
                yield replica
            return
        member = await self._member(self._plan(task), first=waits_again)
        try:
            yield member
        except BaseException as error:
            member.error = error
            raise
        finally:
            await member.leave()

    async def _may_batch(self) -> bool:
        """Tells whether any tasks are made together here."""
        if self._batchings is None:
            contract = await self._replicas.contract()
            self._batchings = {
                task.kind: replace(task.batching, max_size=limit)
                for task in contract.tasks.values()
                if task.batching and (limit := self._limit(task.batching)) > 1
            }
        return bool(self._batchings)

    def _limit(self, batching: Batching) -> int:
        if self._limits.attempts < LEAST_ATTEMPTS:
            return 1
        return min(batching.max_size, self._limits.batch_size or batching.max_size)

    def _plan(self, task: Task) -> Plan:
        """Says with whom a task may be made; one whose replica has died is made alone."""
        batching = self._batchings.get(task.kind) if self._batchings else None
        if batching is None or task.crashes:
            return ALONE
        return Plan(_shape(task, batching), batching.max_size)

    async def _member(self, plan: Plan, *, first: bool) -> "_Member":
        waiter = _Waiter(asyncio.create_task(self._lease(first=first)))
        line = self._lines.setdefault(plan, [])
        line.append(waiter)
        try:
            await waiter.served()
        finally:
            line.remove(waiter)
            if not line:
                del self._lines[plan]
        if waiter.invitation.done():
            return waiter.invitation.result()
        return self._lead(plan, waiter.request.result())

    async def _lease(self, *, first: bool) -> "_Lease":
        stack = AsyncExitStack()
        replica = await stack.enter_async_context(self._replicas.lease(first=first))
        return _Lease(replica, stack)

    def _lead(self, plan: Plan, lease: "_Lease") -> "_Member":
        """Begins a batch and invites the first of those who wait."""
        waiting = [each for each in self._lines.get(plan, ()) if each.is_free]
        size = 1
        if plan is not ALONE:
            size = self._sizes.choose(plan.shape, waiting=1 + len(waiting), limit=plan.limit)
        batch = _Batch(lease, _Record(self._sizes, plan.shape, size), self._clock)
        leader = batch.join()
        for waiter in waiting[: size - 1]:
            waiter.invite(batch.join())
        return leader


@dataclass(frozen=True, slots=True)
class _Lease:
    replica: Replica
    stack: AsyncExitStack


class _Waiter:
    """Somebody who waits for a lease, or to be invited by one who has got one."""

    def __init__(self, request: "asyncio.Task[_Lease]") -> None:
        self.request = request
        self.invitation: asyncio.Future[_Member] = asyncio.get_running_loop().create_future()

    @property
    def is_free(self) -> bool:
        """Tells whether there is neither."""
        return not (self.request.done() or self.invitation.done())

    def invite(self, member: "_Member") -> None:
        """Offers a place, for which the wait for a lease is given up."""
        self.request.cancel()
        self.invitation.set_result(member)

    async def served(self) -> None:
        """Waits for either; gives back what came too late."""
        try:
            await asyncio.wait((self.request, self.invitation), return_when="FIRST_COMPLETED")
        except asyncio.CancelledError:
            await self._withdraw()
            raise

    async def _withdraw(self) -> None:
        if self.invitation.done():
            member = self.invitation.result()
            member.error = TaskCancelled()
            await member.leave()
        elif not self.request.done():
            self.request.cancel()
        elif not self.request.cancelled() and self.request.exception() is None:
            await self.request.result().stack.aclose()


class _Batch:
    """Tasks that share a lease, which ends when the last of them has left."""

    def __init__(self, lease: _Lease, record: "_Record", clock: Callable[[], float]) -> None:
        self.replica = lease.replica
        self._begun = asyncio.Event()
        self._lease = lease
        self._record = record
        self._clock = clock
        self._present: list[_Member] = []
        self._begun_at = 0.0
        self._members: tuple[_Member, ...] = ()
        self._order: asyncio.Task[Mapping[_Member, Run]] | None = None

    def join(self) -> "_Member":
        """Returns a place for one more task."""
        member = _Member(self)
        self._present.append(member)
        return member

    def begin_if_complete(self) -> None:
        """Orders the work as soon as everybody has said what is theirs."""
        jobs = [member.job for member in self._present if member.job is not None]
        if self._begun.is_set() or not jobs or len(jobs) < len(self._present):
            return
        self._members = tuple(self._present)
        self._begun_at = self._clock()
        if len(jobs) > 1:
            self._order = asyncio.create_task(self._send(jobs))
        self._begun.set()

    async def run_of(self, member: "_Member", job: Job) -> Run:
        """Returns a member's run when the work is ordered."""
        self.begin_if_complete()
        await self._begun.wait()
        if self._order is None:
            return await self.replica.run(job)
        return (await asyncio.shield(self._order))[member]

    async def leave(self, member: "_Member") -> None:
        """Lets a task go; the last one gives the replica back."""
        self._present.remove(member)
        self.begin_if_complete()
        if not self._present:
            self._record.write(self._members, self._clock() - self._begun_at)
            await self._lease.stack.aclose()

    async def _send(self, jobs: Sequence[Job]) -> "Mapping[_Member, Run]":
        logger.info(
            "tasks are made together", replica=self.replica.id, tasks=[job.task_id for job in jobs]
        )
        return dict(zip(self._members, await self.replica.run_batch(jobs), strict=True))


class _Member:
    """A task's share of a lease: a `Place`. `error` is what its stay has ended with."""

    def __init__(self, batch: _Batch) -> None:
        self.job: Job | None = None
        self.error: BaseException | None = None
        self._batch = batch
        self._run: Run | None = None

    @property
    def id(self) -> int:
        return self._batch.replica.id

    @property
    def batch_size(self) -> int:
        """With how many its frames were made, 0 where there are none."""
        return self._run.batch_size if self._run and self.error is None else 0

    async def run(self, job: Job) -> Run:
        self.job = job
        self._run = await self._batch.run_of(self, job)
        return self._run

    async def leave(self) -> None:
        """Gives the share back."""
        await self._batch.leave(self)


@dataclass(frozen=True, slots=True)
class _Record:
    """Tells the sizes of a shape what became of a batch."""

    sizes: BatchSizes
    shape: str
    chosen: int

    def write(self, members: Sequence[_Member], seconds: float) -> None:
        """Notes how long a batch has taken, and whether it was one."""
        if not self.shape:
            return
        if members:
            self._note(members, seconds)
        self.sizes.settle(self.shape, self.chosen)

    def _note(self, members: Sequence[_Member], seconds: float) -> None:
        size = len(members)
        errors = [member.error for member in members if member.error is not None]
        made = [member.batch_size for member in members if member.error is None]
        if made and set(made) == {size}:
            self.sizes.learn(self.shape, size, seconds)
        elif size == 1:
            return
        elif any(isinstance(error, ReplicaDied) for error in errors):
            self.sizes.fail(self.shape, size, seconds + LOADING_SECONDS, made=len(made))
        elif any(isinstance(error, TaskTimeout | TaskStalled) for error in errors) or (
            made and not any(map(_is_guilty, errors))
        ):
            self.sizes.fail(self.shape, size, seconds, made=len(made))


def _is_guilty(error: BaseException) -> bool:
    """Tells whether a task has failed by itself: then nothing speaks against the batch."""
    return not isinstance(error, TaskCancelled | asyncio.CancelledError)


def _shape(task: Task, batching: Batching) -> str:
    values = [task.fields.get(key) for key in batching.keys]
    return json.dumps([task.kind, sorted(task.inputs), values], sort_keys=True, default=str)
