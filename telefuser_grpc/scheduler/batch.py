"""One batch: tasks that share a lease, which ends when the last of them has left."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

import structlog

from telefuser_grpc.domain.job import Job
from telefuser_grpc.errors import ReplicaDied, TaskCancelled, TaskStalled, TaskTimeout
from telefuser_grpc.scheduler.batch_sizes import BatchSizes
from telefuser_grpc.scheduler.ports import Replica, Run

logger = structlog.get_logger()

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
class Lease:
    """A replica, and what gives it back."""

    replica: Replica
    stack: AsyncExitStack


class Batch:
    """Begins when everybody who has joined has said what is theirs."""

    def __init__(self, lease: Lease, record: "Record", clock: Callable[[], float]) -> None:
        self.replica = lease.replica
        self._begun = asyncio.Event()
        self._lease = lease
        self._record = record
        self._clock = clock
        self._present: list[Member] = []
        self._begun_at = 0.0
        self._members: tuple[Member, ...] = ()
        self._order: asyncio.Task[Mapping[Member, Run]] | None = None

    def join(self) -> "Member":
        """Returns a place for one more task."""
        member = Member(self)
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

    async def run_of(self, member: "Member", job: Job) -> Run:
        """Returns a member's run when the work is ordered."""
        self.begin_if_complete()
        await self._begun.wait()
        if self._order is None:
            return await self.replica.run(job)
        return (await asyncio.shield(self._order))[member]

    async def leave(self, member: "Member") -> None:
        """Lets a task go; the last one gives the replica back."""
        self._present.remove(member)
        self.begin_if_complete()
        if not self._present:
            self._record.write(self._members, self._clock() - self._begun_at)
            await self._lease.stack.aclose()

    async def _send(self, jobs: Sequence[Job]) -> "Mapping[Member, Run]":
        logger.info(
            "tasks are made together", replica=self.replica.id, tasks=[job.task_id for job in jobs]
        )
        return dict(zip(self._members, await self.replica.run_batch(jobs), strict=True))


class Member:
    """A task's share of a lease: a `Place`. `error` is what its stay has ended with."""

    def __init__(self, batch: Batch) -> None:
        self.job: Job | None = None
        self.error: BaseException | None = None
        self._batch = batch
        self._run: Run | None = None

    @property
    def id(self) -> int:
        """The replica's number."""
        return self._batch.replica.id

    @property
    def batch_size(self) -> int:
        """With how many its frames were made, 0 where there are none."""
        return self._run.batch_size if self._run and self.error is None else 0

    async def run(self, job: Job) -> Run:
        """Begins a job together with those of the others. Raises ReplicaDied, PipelineFailed."""
        self.job = job
        self._run = await self._batch.run_of(self, job)
        return self._run

    async def leave(self) -> None:
        """Gives the share back."""
        await self._batch.leave(self)


@dataclass(frozen=True, slots=True)
class Record:
    """Tells the sizes of a shape what became of a batch."""

    sizes: BatchSizes
    shape: str
    chosen: int

    def write(self, members: Sequence[Member], seconds: float) -> None:
        """Notes how long a batch has taken, and whether it was one."""
        if not self.shape:
            return
        if members:
            self._note(members, seconds)
        self.sizes.settle(self.shape, self.chosen)

    def _note(self, members: Sequence[Member], seconds: float) -> None:
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
