"""One replica as the server sees it: what its frames say of its pipeline and its runs."""

import asyncio
from collections.abc import Callable, Mapping
from enum import Enum, auto

import structlog

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.job import Job
from telefuser_grpc.errors import (
    OutOfMemory,
    OutputInvalid,
    PipelineFailed,
    ReplicaDied,
    TaskCancelled,
    TaskFailed,
)
from telefuser_grpc.workers.channel import ProtocolError
from telefuser_grpc.workers.messages import (
    AboutRun,
    Cancel,
    Failed,
    Finished,
    FromReplica,
    Load,
    LoadFailed,
    Previewed,
    Ready,
    Rendered,
    RunJob,
    Shutdown,
    Stepped,
    Stopped,
)
from telefuser_grpc.workers.process import ReplicaProcess
from telefuser_grpc.workers.run import LocalRun

logger = structlog.get_logger()

FAILURES: Mapping[str, type[TaskFailed]] = {
    each.reason: each for each in (PipelineFailed, OutOfMemory, OutputInvalid)
}


class Phase(Enum):
    """Where a replica is in its life."""

    LOADING = auto()
    READY = auto()
    LEAVING = auto()
    DEAD = auto()


class LocalReplica:
    """Implements the port `Replica` with a process; one that has died stays dead.

    Attributes:
        id: The number of its seat in the pool.
        is_leased: Whether the pool has lent it.
        denoising: The run because of which it cannot take another job.
        contract: What the pipeline declares, once it is loaded.
        has_worked: Whether it was ever given a job.
        death: Why it died, "" while it lives; for operators and callers.
    """

    def __init__(
        self, number: int, process: ReplicaProcess, *, on_change: Callable[[], None]
    ) -> None:
        self.id = number
        self.is_leased = False
        self.denoising: LocalRun | None = None
        self.contract: PipelineContract | None = None
        self.has_worked = False
        self.death = ""
        self._process = process
        self._channel = process.channel
        self._on_change = on_change
        self._phase = Phase.LOADING
        self._runs: dict[tuple[str, int], LocalRun] = {}

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_loading(self) -> bool:
        """Tells whether the pipeline is still being loaded."""
        return self._phase is Phase.LOADING

    @property
    def is_free(self) -> bool:
        """Tells whether it may be lent."""
        return self._phase is Phase.READY and not self.is_leased and self.denoising is None

    async def live(self, load: Load, *, start_timeout_seconds: float) -> None:
        """Loads the pipeline and takes frames until the process is gone."""
        self._channel.send(load)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(start_timeout_seconds, self._expire, start_timeout_seconds)
        try:
            await self._process.until_gone(asyncio.create_task(self._read()))
        finally:
            timer.cancel()
            self._bury()

    async def run(self, job: Job) -> LocalRun:
        """Begins a job. Raises ReplicaDied."""
        if self._phase is not Phase.READY:
            raise ReplicaDied(self.death or f"Replica {self.id} is stopping")
        assert self.denoising is None, "two jobs at once"
        self._channel.send(RunJob(job))
        run = self.denoising = self._runs[job.task_id, job.attempt] = LocalRun(job, self._stop)
        self.has_worked = True
        self._on_change()
        return run

    def leave(self, grace_seconds: float) -> None:
        """Lets the replica end what it has begun, and kills it after the grace or if it loads."""
        if self._phase is Phase.DEAD:
            return
        if self.is_loading:
            self._process.kill()
        self._phase = Phase.LEAVING
        self._channel.send(Shutdown())
        loop = asyncio.get_running_loop()
        loop.call_later(grace_seconds, self._kill, "did not stop in time")

    async def _stop(self, run: LocalRun, grace_seconds: float) -> None:
        """Stops a run at its next step, or by a kill that spares a replica which only encodes."""
        if run.has_ended:
            return
        self._channel.send(Cancel(run.job.task_id, run.job.attempt))
        try:
            async with asyncio.timeout(grace_seconds):
                await run.ended()
        except TimeoutError:
            if run.is_denoising:
                self._kill("did not stop when it was told to")
                await run.ended()
            else:
                run.fail(TaskCancelled())

    def _kill(self, why: str) -> None:
        if self._phase is Phase.DEAD:
            return
        self.death = self.death or f"Replica {self.id} {why}"
        logger.error("replica killed", replica=self.id, why=why)
        self._phase = Phase.LEAVING
        self._process.kill()

    def _expire(self, timeout_seconds: float) -> None:
        if self.is_loading:
            self._kill(f"did not load its pipeline within {timeout_seconds:g} s")

    async def _read(self) -> None:
        try:
            while (frame := await self._channel.receive()) is not None:
                self._take(frame)
        except ProtocolError as error:
            self._kill(f"broke the protocol: {error}")

    def _take(self, frame: FromReplica) -> None:
        match frame:
            case Ready() | LoadFailed() if self.contract is not None:
                raise ProtocolError("it had loaded before")
            case Ready(contract):
                self._become_ready(contract)
            case LoadFailed(message):
                self.death = message
                self._phase = Phase.LEAVING
            case _:
                self._tell(self._run_of(frame), frame)

    def _become_ready(self, contract: PipelineContract) -> None:
        self.contract = contract
        if self._phase is Phase.LOADING:
            self._phase = Phase.READY
            self._on_change()

    def _run_of(self, frame: AboutRun) -> LocalRun:
        if (run := self._runs.get((frame.task_id, frame.attempt))) is None:
            raise ProtocolError(f"no attempt {frame.attempt} of {frame.task_id!r} is open")
        return run

    def _tell(self, run: LocalRun, frame: AboutRun) -> None:
        match frame:
            case Stepped(progress=change) | Previewed(preview=change):
                run.update(change)
                return
            case Rendered() if not run.is_denoising:
                raise ProtocolError("rendered twice")
            case Rendered(report=report):
                run.render(report)
            case Finished() if run.is_denoising:
                raise ProtocolError("finished before rendered")
            case Finished(files=files):
                run.finish(files)
            case Failed(is_device_lost=is_lost):
                if is_lost:
                    self._phase = Phase.LEAVING
                    self.death = f"Replica {self.id} has lost its device"
                run.fail(FAILURES.get(frame.reason, PipelineFailed)(frame.message))
            case Stopped():
                run.fail(TaskCancelled())
        self._forget_what_is_over(run)

    def _forget_what_is_over(self, run: LocalRun) -> None:
        if run.has_ended:
            del self._runs[run.job.task_id, run.job.attempt]
        if run is self.denoising and not run.is_denoising:
            self.denoising = None
            self._on_change()

    def _bury(self) -> None:
        self._phase = Phase.DEAD
        self.death = self.death or f"Replica {self.id} {self._process.exit_text}"
        self.denoising = None
        for run in self._runs.values():
            run.fail(TaskCancelled() if run.is_stopping else ReplicaDied(self.death))
        self._runs.clear()
        self._on_change()
