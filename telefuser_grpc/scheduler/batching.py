"""Lends replicas to tasks: those that can be made together share a lease where that pays.

Nobody waits for companions: whoever is lent a replica takes along those who wait already, in
their order.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from telefuser_grpc.domain.batching import Batching
from telefuser_grpc.domain.task import Task
from telefuser_grpc.errors import TaskCancelled
from telefuser_grpc.scheduler.batch import Batch, Lease, Member, Place, Record
from telefuser_grpc.scheduler.batch_sizes import BatchSizes
from telefuser_grpc.scheduler.limits import Limits
from telefuser_grpc.scheduler.ports import ReplicaPool

LEAST_ATTEMPTS = 2  # so that a task which dies with others has one of its own left
SHARE_OF_TIMEOUT = 0.5  # so that no task fails because it was made with others


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

    async def _member(self, plan: Plan, *, first: bool) -> "Member":
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

    async def _lease(self, *, first: bool) -> "Lease":
        stack = AsyncExitStack()
        replica = await stack.enter_async_context(self._replicas.lease(first=first))
        return Lease(replica, stack)

    def _lead(self, plan: Plan, lease: "Lease") -> "Member":
        """Begins a batch and invites the first of those who wait."""
        waiting = [each for each in self._lines.get(plan, ()) if each.is_free]
        size = 1
        if plan is not ALONE:
            size = self._sizes.choose(plan.shape, waiting=1 + len(waiting), limit=plan.limit)
        batch = Batch(lease, Record(self._sizes, plan.shape, size), self._clock)
        leader = batch.join()
        for waiter in waiting[: size - 1]:
            waiter.invite(batch.join())
        return leader


class _Waiter:
    """Somebody who waits for a lease, or to be invited by one who has got one."""

    def __init__(self, request: "asyncio.Task[Lease]") -> None:
        self.request = request
        self.invitation: asyncio.Future[Member] = asyncio.get_running_loop().create_future()

    @property
    def is_free(self) -> bool:
        """Tells whether there is neither."""
        return not (self.request.done() or self.invitation.done())

    def invite(self, member: "Member") -> None:
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


def _shape(task: Task, batching: Batching) -> str:
    values = [task.fields.get(key) for key in batching.keys]
    return json.dumps([task.kind, sorted(task.inputs), values], sort_keys=True, default=str)
