"""One numbered place of the pool: starts a replica, and another one after each death."""

import asyncio
import os
from collections.abc import Callable, Sequence

import structlog

from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.workers.messages import Load
from telefuser_grpc.workers.process import ReplicaProcess, replica_environment
from telefuser_grpc.workers.replica import LocalReplica

logger = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
LOAD_ATTEMPTS = 3


class Seat:
    """Keeps a replica alive; gives up when the pipeline fails to load several times in a row.

    Attributes:
        replica: The latest replica, which may be dead.
        has_given_up: Whether no replica will be started again.
    """

    def __init__(
        self,
        number: int,
        *,
        devices: Sequence[str],
        command: Sequence[str],
        load: Load,
        start_timeout_seconds: float,
        on_change: Callable[[], None],
    ) -> None:
        self.replica: LocalReplica | None = None
        self.has_given_up = False
        self._number = number
        self._devices = tuple(devices)
        self._command = command
        self._load = load
        self._start_timeout_seconds = start_timeout_seconds
        self._on_change = on_change
        self._closing = asyncio.Event()
        self._starts = 0
        self._failed_loads = 0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._last_error = ""

    async def keep(self) -> None:
        """Holds the seat until it is closed or given up."""
        while not self._closing.is_set():
            await self._live_once()
            if self._closing.is_set():
                break
            if self._failed_loads >= LOAD_ATTEMPTS:
                self._give_up()
                break
            await self._pause()

    def close(self, grace_seconds: float) -> None:
        """Ends the replica, and starts no other."""
        self._closing.set()
        if self.replica is not None:
            self.replica.leave(grace_seconds)

    def status(self) -> ReplicaStatus:
        """Returns what is known of the replica."""
        replica, state = self.replica, self._state()
        run = replica.denoising if replica else None
        return ReplicaStatus(
            id=self._number,
            state=state,
            devices=self._devices,
            task_id=run.job.task_id if run else "",
            restarts=max(0, self._starts - 1),
            pid=replica.pid if replica and state is not ReplicaState.DEAD else 0,
            last_error=self._last_error,
        )

    def _state(self) -> ReplicaState:
        if self._starts == 0:
            return ReplicaState.STARTING
        if self.replica is None or self.replica.death:
            return ReplicaState.DEAD
        if self.replica.is_loading:
            return ReplicaState.STARTING
        return ReplicaState.IDLE if self.replica.is_free else ReplicaState.BUSY

    async def _live_once(self) -> None:
        self._starts += 1
        try:
            process = await ReplicaProcess.spawn(
                self._command, replica_environment(os.environ, self._devices)
            )
        except OSError as error:
            self._note_death(f"Replica {self._number} cannot be started: {error.strerror}", None)
            return
        replica = self.replica = LocalReplica(self._number, process, on_change=self._on_change)
        logger.info("replica started", replica=self._number, pid=replica.pid)
        self._on_change()
        if self._closing.is_set():
            replica.leave(0)
        await replica.live(self._load, start_timeout_seconds=self._start_timeout_seconds)
        self._note_death(replica.death, replica)

    def _note_death(self, why: str, replica: LocalReplica | None) -> None:
        if self._closing.is_set():
            return
        self._last_error = why
        has_loaded = replica is not None and replica.contract is not None
        self._failed_loads = 0 if has_loaded else self._failed_loads + 1
        if replica is not None and replica.has_worked:
            self._pause_seconds = FIRST_PAUSE_SECONDS
        logger.warning("replica died", replica=self._number, why=why)
        self._on_change()

    async def _pause(self) -> None:
        """Waits before the next start, longer each time unless the replica was of use."""
        pause = self._pause_seconds
        self._pause_seconds = min(2 * pause, LONGEST_PAUSE_SECONDS)
        try:
            async with asyncio.timeout(pause):
                await self._closing.wait()
        except TimeoutError:
            return

    def _give_up(self) -> None:
        self.has_given_up = True
        logger.error("replica given up", replica=self._number, why=self._last_error)
        self._on_change()
