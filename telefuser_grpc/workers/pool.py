"""Lends replicas, first come, first served."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import structlog

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.replica import ReplicaStatus
from telefuser_grpc.errors import NoCapacity
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.workers.messages import Load
from telefuser_grpc.workers.process import COMMAND, empty_folder
from telefuser_grpc.workers.replica import LocalReplica
from telefuser_grpc.workers.seat import Orders, Seat

PLAIN = ModelOptions()

logger = structlog.get_logger()


class LocalReplicaPool:
    """Implements the port `ReplicaPool` with processes of this machine.

    Args:
        task: The kind that a pipeline file without a contract is served as.
        devices: For each replica the devices that it may see; empty on the CPU.
        parallelism: How many devices each replica's pipeline spreads over.
        start_timeout_seconds: How long a pipeline may take to load.
        stop_grace_seconds: How long a run whose lease has ended, and a replica when the pool
            closes, may take to stop before a kill.
        silence_seconds: How long a loaded replica may give no sign of life before a kill, however
            busy; 0 waits for ever.
        warmup: Whether one run with the contract's defaults belongs to the loading.
        options: How the pipeline is to load its model.
        max_tasks_per_replica: After how many tasks a replica is replaced; 0 never.
        replica_max_rss_bytes: With how much memory in use, at the end of a run, a replica is
            replaced; 0 never.
        temporary: A folder of this pool alone for the temporary files of its replicas. What an
            earlier pool has left there, because its server was killed, goes when this one opens.
    """

    def __init__(
        self,
        pipeline: Path,
        *,
        task: str | None,
        replicas: int,
        devices: Sequence[Sequence[str]],
        parallelism: int,
        preview_interval_seconds: float,
        start_timeout_seconds: float = 300.0,
        stop_grace_seconds: float = 5.0,
        silence_seconds: float = 60.0,
        warmup: bool = False,
        options: ModelOptions = PLAIN,
        max_tasks_per_replica: int = 0,
        replica_max_rss_bytes: int = 0,
        temporary: Path | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        load = Load(
            pipeline=str(pipeline),
            task=task,
            parallelism=parallelism,
            preview_interval_seconds=preview_interval_seconds,
            warmup=warmup,
            options=options,
        )
        orders = Orders(
            command=command,
            load=load,
            start_timeout_seconds=start_timeout_seconds,
            silence_seconds=silence_seconds,
            temporary=temporary,
        )
        self._seats = [
            Seat(
                number,
                devices=devices[number],
                orders=orders,
                on_change=self._change,
                accept=self._accept,
            )
            for number in range(replicas)
        ]
        self._turns = deque(self._seats)
        self._waiting: deque[asyncio.Future[LocalReplica]] = deque()
        self._watchers: set[asyncio.Event] = set()
        self._contract: PipelineContract | None = None
        self._is_loss_told = False
        self._stop_grace_seconds = stop_grace_seconds
        self._max_tasks_per_replica = max_tasks_per_replica
        self._replica_max_rss_bytes = replica_max_rss_bytes
        self._temporary = temporary
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> "LocalReplicaPool":
        if self._temporary is not None:
            await asyncio.to_thread(empty_folder, self._temporary)
        await self._group.__aenter__()
        for seat in self._seats:
            self._group.create_task(seat.keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._waiting:
            self._waiting.popleft().cancel()
        for seat in self._seats:
            seat.close(self._stop_grace_seconds)
        await self._group.__aexit__(None, None, None)

    @asynccontextmanager
    async def lease(self, *, first: bool = False) -> AsyncIterator[LocalReplica]:
        """Waits for an idle replica and holds it inside the `async with`."""
        replica = await self._take(first=first)
        try:
            yield replica
        finally:
            for run in replica.denoising:
                self._group.create_task(run.stop(self._stop_grace_seconds))
            self._give_back(replica)

    async def contract(self) -> PipelineContract:
        """Waits until every replica has loaded the pipeline and returns its contract.

        They load at the same time. One that cannot is the end of the start: `start_failure`.
        """
        async with aclosing(self.changes()) as changes:
            async for _ in changes:
                if any(seat.has_given_up and not seat.has_loaded for seat in self._seats):
                    break
                if self._contract is not None and all(seat.has_loaded for seat in self._seats):
                    return self._contract
        raise NoCapacity

    @property
    def start_failure(self) -> str:
        """Says which replicas cannot be started, and why; "" while all can."""
        numbers: dict[str, list[int]] = {}
        for seat in self._seats:
            if seat.has_given_up:
                numbers.setdefault(seat.last_error, []).append(seat.number)
        if [len(each) for each in numbers.values()] == [len(self._seats)]:
            return next(iter(numbers))
        return "; ".join(f"{_named(those)}: {why}" for why, those in numbers.items())

    def status(self) -> Sequence[ReplicaStatus]:
        """Returns every replica, by number."""
        return [seat.status() for seat in self._seats]

    @property
    def is_lost(self) -> bool:
        """Tells whether every replica is dead and none will be started again."""
        return all(seat.has_given_up for seat in self._seats)

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yields now and after every change of a status; a slow reader skips some."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            while True:
                yield
                await changed.wait()
                changed.clear()
        finally:
            self._watchers.discard(changed)

    async def _take(self, *, first: bool) -> LocalReplica:
        turn: asyncio.Future[LocalReplica] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        self._serve()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_back(turn.result())
            raise

    def _give_back(self, replica: LocalReplica) -> None:
        replica.is_leased = False
        self._turns.remove(seat := self._seats[replica.id])
        self._turns.append(seat)
        if why := self._why_worn(replica):
            replica.retire(why, grace_seconds=self._stop_grace_seconds)
        self._change()

    def _why_worn(self, replica: LocalReplica) -> str:
        if 0 < self._max_tasks_per_replica <= replica.jobs:
            return f"it has run {replica.jobs} tasks"
        if self._replica_max_rss_bytes and replica.resident_bytes > self._replica_max_rss_bytes:
            return f"it holds more than {self._replica_max_rss_bytes} bytes of memory"
        return ""

    def _accept(self, contract: PipelineContract) -> str:
        """Says why a replica cannot be one of the pool: its pipeline declares something else."""
        self._contract = self._contract or contract
        if contract == self._contract:
            return ""
        return "declares another contract than the others; restart the service for a changed file"

    def _change(self) -> None:
        self._serve()
        for changed in self._watchers:
            changed.set()

    def _serve(self) -> None:
        """Gives free replicas to those who wait, in turn."""
        if self.is_lost:
            self._tell_of_loss()
            self._refuse()
        while self._waiting and (replica := self._free_replica()):
            turn = self._waiting.popleft()
            if not turn.done():
                replica.is_leased = True
                turn.set_result(replica)

    def _free_replica(self) -> LocalReplica | None:
        """Returns the replica that has been free for the longest time."""
        replicas = (seat.replica for seat in self._turns)
        return next((each for each in replicas if each is not None and each.is_free), None)

    def _tell_of_loss(self) -> None:
        if not self._is_loss_told:
            self._is_loss_told = True
            logger.critical("all replicas are dead", why=self.start_failure)

    def _refuse(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(NoCapacity())


def _named(numbers: Sequence[int]) -> str:
    names = [str(number) for number in numbers]
    if len(names) == 1:
        return f"replica {names[0]}"
    return f"replicas {', '.join(names[:-1])} and {names[-1]}"
