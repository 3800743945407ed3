"""One numbered place of the pool: starts a replica, and another one after each death."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.workers.messages import FromReplica, FromServer, Load
from telefuser_grpc.workers.process import ReplicaProcess, replica_environment, temporary_folder
from telefuser_grpc.workers.replica import LocalReplica

logger = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
LOAD_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What every replica of a pool is started with.

    Attributes:
        start_timeout_seconds: How long a pipeline may take to load.
        silence_seconds: How long a loaded replica may leave questions unanswered; 0 asks none.
        temporary: In which folder each has one for its temporary files; None is the system's.
    """

    command: Sequence[str]
    load: Load
    start_timeout_seconds: float
    silence_seconds: float
    temporary: Path | None = None


class Seat:
    """Keeps a replica alive; gives up when the pipeline fails to load several times in a row.

    Args:
        accept: Says why a contract cannot be taken, or nothing.

    Attributes:
        number: Its place, from 0.
        devices: What its replicas may see.
        replica: The latest replica, which may be dead.
        has_loaded: Whether a replica has ever loaded the pipeline here.
        has_given_up: Whether no replica will be started again.
        last_error: Why a replica last died or could not start, "" when none did.
    """

    def __init__(
        self,
        number: int,
        *,
        devices: Sequence[str],
        orders: Orders,
        on_change: Callable[[], None],
        accept: Callable[[PipelineContract], str],
    ) -> None:
        self.number = number
        self.devices = tuple(devices)
        self.replica: LocalReplica | None = None
        self.has_loaded = False
        self.has_given_up = False
        self.last_error = ""
        self._orders = orders
        self._on_change = on_change
        self._accept = accept
        self._closing = asyncio.Event()
        self._starts = 0
        self._recycles = 0
        self._failed_loads = 0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    async def keep(self) -> None:
        """Holds the seat until it is closed or given up."""
        while not self._closing.is_set():
            replica = await self._live_once()
            if self._closing.is_set():
                break
            if replica is not None and replica.retirement:
                self._note_retirement(replica)
                continue
            self._note_death(replica)
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
        runs = replica.denoising if replica else []
        return ReplicaStatus(
            id=self.number,
            state=state,
            devices=self.devices,
            task_ids=tuple(run.job.task_id for run in runs),
            restarts=max(0, self._starts - 1 - self._recycles),
            recycles=self._recycles,
            pid=replica.pid if replica and state is not ReplicaState.DEAD else 0,
            last_error=self.last_error,
        )

    def _state(self) -> ReplicaState:
        if self._starts == 0:
            return ReplicaState.STARTING
        if self.replica is None or self.replica.death:
            return ReplicaState.DEAD
        if self.replica.is_loading:
            return ReplicaState.STARTING
        return ReplicaState.IDLE if self.replica.is_free else ReplicaState.BUSY

    async def _live_once(self) -> LocalReplica | None:
        """Starts a replica and returns it when it is dead; None when it could not be started."""
        self._starts += 1
        try:
            async with temporary_folder(self._orders.temporary) as folder:
                environment = replica_environment(os.environ, self.devices, temporary=folder)
                return await self._live(
                    await ReplicaProcess.spawn(self._orders.command, environment)
                )
        except OSError as error:
            self.last_error = f"Replica {self.number} cannot be started: {error.strerror}"
            return None

    async def _live(self, process: ReplicaProcess[FromServer, FromReplica]) -> LocalReplica:
        replica = self.replica = LocalReplica(
            self.number,
            process,
            on_change=self._note_change,
            accept=self._accept,
            silence_seconds=self._orders.silence_seconds,
        )
        logger.info("replica started", replica=self.number, pid=replica.pid)
        self._on_change()
        if self._closing.is_set():
            replica.leave(0)
        await replica.live(
            self._orders.load, start_timeout_seconds=self._orders.start_timeout_seconds
        )
        return replica

    def _note_change(self) -> None:
        if self.replica is not None and self.replica.contract is not None:
            self.has_loaded = True
            self._failed_loads = 0
        self._on_change()

    def _note_retirement(self, replica: LocalReplica) -> None:
        self._recycles += 1
        logger.info("replica recycled", replica=self.number, why=replica.retirement)
        self._on_change()

    def _note_death(self, replica: LocalReplica | None) -> None:
        if replica is not None:
            self.last_error = replica.death
        if replica is None or replica.contract is None:
            self._failed_loads += 1
        if replica is not None and replica.refusal and not self.has_loaded:
            self._failed_loads = LOAD_ATTEMPTS  # what is wrong with the pipeline stays wrong
        if replica is not None and replica.jobs:
            self._pause_seconds = FIRST_PAUSE_SECONDS
        logger.warning("replica died", replica=self.number, why=self.last_error)
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
        logger.error("replica given up", replica=self.number, why=self.last_error)
        self._on_change()
