"""Lends replicas, first come, first served."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.replica import ReplicaStatus
from telefuser_grpc.errors import NoCapacity
from telefuser_grpc.workers.messages import Load
from telefuser_grpc.workers.process import COMMAND
from telefuser_grpc.workers.replica import LocalReplica
from telefuser_grpc.workers.seat import Seat


class LocalReplicaPool:
    """Implements the port `ReplicaPool` with processes of this machine.

    Args:
        task: The kind that a pipeline file without a contract is served as.
        devices: For each replica the devices that it may see; empty on the CPU.
        parallelism: How many devices each replica's pipeline spreads over.
        start_timeout_seconds: How long a pipeline may take to load.
        stop_grace_seconds: How long a run whose lease has ended, and a replica when the pool
            closes, may take to stop before a kill.
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
        command: Sequence[str] = COMMAND,
    ) -> None:
        load = Load(
            pipeline=str(pipeline),
            task=task,
            parallelism=parallelism,
            preview_interval_seconds=preview_interval_seconds,
        )
        self._seats = [
            Seat(
                number,
                devices=devices[number],
                command=command,
                load=load,
                start_timeout_seconds=start_timeout_seconds,
                on_change=self._change,
            )
            for number in range(replicas)
        ]
        self._turns = deque(self._seats)
        self._waiting: deque[asyncio.Future[LocalReplica]] = deque()
        self._watchers: set[asyncio.Event] = set()
        self._stop_grace_seconds = stop_grace_seconds
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> "LocalReplicaPool":
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
            if (run := replica.denoising) is not None:
                self._group.create_task(run.stop(self._stop_grace_seconds))
            self._give_back(replica)

    async def contract(self) -> PipelineContract:
        """Waits until a replica has loaded the pipeline and returns its contract."""
        async with aclosing(self.changes()) as changes:
            async for _ in changes:
                for seat in self._seats:
                    if seat.replica is not None and seat.replica.contract is not None:
                        return seat.replica.contract
                if self.is_lost:
                    break
        raise NoCapacity

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
        self._change()

    def _change(self) -> None:
        self._serve()
        for changed in self._watchers:
            changed.set()

    def _serve(self) -> None:
        """Gives free replicas to those who wait, in turn."""
        if self.is_lost:
            self._refuse()
        while self._waiting and (replica := self._free_replica()):
            turn = self._waiting.popleft()
            if not turn.done():
                replica.is_leased = True
                turn.set_result(replica)

    def _free_replica(self) -> LocalReplica | None:
        for seat in self._turns:
            if seat.replica is not None and seat.replica.is_free:
                self._turns.remove(seat)
                self._turns.append(seat)
                return seat.replica
        return None

    def _refuse(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(NoCapacity())
