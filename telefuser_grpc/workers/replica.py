"""One replica as the server sees it: what its frames say of its pipeline and its runs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
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
    FromServer,
    Load,
    LoadFailed,
    Ping,
    Pong,
    Previewed,
    Ready,
    Rendered,
    RunBatch,
    RunJob,
    Shutdown,
    Stepped,
    Stopped,
)
from telefuser_grpc.workers.process import ReplicaProcess
from telefuser_grpc.workers.pulse import Pulse
from telefuser_grpc.workers.run import LocalRun

logger = structlog.get_logger()

ENCODING_SECONDS = 30.0
"""How long a replica may still encode what nobody waits for any more."""
UNSENDABLE = (ProtocolError, TypeError, ValueError)
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

    Args:
        accept: Says why a contract cannot be taken, or nothing.
        silence_seconds: How long it may leave questions unanswered; 0 asks none.

    Attributes:
        id: The number of its seat in the pool.
        is_leased: Whether the pool has lent it.
        denoising: The runs because of which it cannot take another job.
        contract: What the pipeline declares, once it is loaded.
        jobs: How many jobs it was given.
        refusal: Why it can never be loaded as it is, "" where a second try may help.
        retirement: Why it is replaced although it works, "" while it is not.
        death: Why it died, "" while it lives; for operators and callers.
    """

    def __init__(
        self,
        number: int,
        process: ReplicaProcess[FromServer, FromReplica],
        *,
        on_change: Callable[[], None],
        accept: Callable[[PipelineContract], str],
        silence_seconds: float,
    ) -> None:
        self.id = number
        self.is_leased = False
        self.denoising: list[LocalRun] = []
        self.contract: PipelineContract | None = None
        self.jobs = 0
        self.refusal = ""
        self.retirement = ""
        self.death = ""
        self._process = process
        self._channel = process.channel
        self._on_change = on_change
        self._accept = accept
        self._phase = Phase.LOADING
        self._runs: dict[tuple[str, int], LocalRun] = {}
        self._leave_grace_seconds: float | None = None
        self._pulse = Pulse(
            ask=lambda: self._channel.send(Ping()),
            on_silence=lambda: self._kill(f"did not answer for {silence_seconds:g} s"),
            silence_seconds=silence_seconds,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def resident_bytes(self) -> int:
        """The memory that its process holds, 0 where that cannot be told."""
        return self._process.resident_bytes

    @property
    def is_loading(self) -> bool:
        """Tells whether the pipeline is still being loaded."""
        return self._phase is Phase.LOADING

    @property
    def is_free(self) -> bool:
        """Tells whether it may be lent."""
        return self._phase is Phase.READY and not self.is_leased and not self.denoising

    async def live(self, load: Load, *, start_timeout_seconds: float) -> None:
        """Loads the pipeline and takes frames until the process is gone."""
        self._channel.send(load)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(start_timeout_seconds, self._expire, start_timeout_seconds)
        try:
            await self._process.until_gone(asyncio.create_task(self._read()))
        finally:
            timer.cancel()
            self._pulse.stop()
            self._bury()

    async def run(self, job: Job) -> LocalRun:
        """Begins a job. Raises ReplicaDied, and PipelineFailed for a job that cannot be sent."""
        self._be_ready()
        try:
            self._channel.send(RunJob(job))
        except UNSENDABLE as error:
            raise PipelineFailed("The task is too large or no text for its replica") from error
        return self._open(job)

    async def run_batch(self, jobs: Sequence[Job]) -> Sequence[LocalRun]:
        """Begins jobs together. Raises ReplicaDied; a job that cannot be sent has failed."""
        self._be_ready()
        try:
            self._channel.send(RunBatch(tuple(jobs)))
        except UNSENDABLE:
            return [self._send_alone(job) for job in jobs]
        return [self._open(job) for job in jobs]

    def leave(self, grace_seconds: float) -> None:
        """Lets the replica end what it has begun, and kills it after the grace or if it loads."""
        if self._phase is Phase.DEAD:
            return
        if self.is_loading:
            self._process.kill()
        self._phase = Phase.LEAVING
        self._channel.send(Shutdown())
        self._kill_after(grace_seconds)

    def retire(self, why: str, *, grace_seconds: float) -> None:
        """Lets the replica end what it has begun however long that takes, and then exit."""
        if self._phase is not Phase.READY:
            return
        self.retirement = why
        self._leave_grace_seconds = grace_seconds
        self._phase = Phase.LEAVING
        self._channel.send(Shutdown())
        self._hurry_if_done()

    def _be_ready(self) -> None:
        if self._phase is not Phase.READY:
            raise ReplicaDied(self.death or f"Replica {self.id} is stopping")
        assert not self.denoising, "two orders at once"

    def _send_alone(self, job: Job) -> LocalRun:
        """Sends one job of a batch that cannot be sent as a whole."""
        try:
            self._channel.send(RunJob(job))
        except UNSENDABLE:
            run = LocalRun(job, self._stop)
            run.fail(PipelineFailed("The task is too large or no text for its replica"))
            return run
        return self._open(job)

    def _open(self, job: Job) -> LocalRun:
        run = self._runs[job.task_id, job.attempt] = LocalRun(job, self._stop)
        self.denoising.append(run)
        self.jobs += 1
        self._on_change()
        return run

    async def _stop(self, run: LocalRun, grace_seconds: float) -> None:
        """Stops a run at its next step, or by a kill.

        That spares a replica which only encodes, or works for other runs too.
        """
        if run.has_ended:
            return
        self._channel.send(Cancel(run.job.task_id, run.job.attempt))
        try:
            async with asyncio.timeout(grace_seconds):
                await run.ended()
        except TimeoutError:
            if run.is_denoising:
                if all(each.is_stopping for each in self.denoising):
                    self._kill("did not stop when it was told to")
                await run.ended()
            else:
                run.fail(TaskCancelled())
                self._expect_end_of(run)

    def _expect_end_of(self, run: LocalRun) -> None:
        """Kills the replica if its encoder hangs on what nobody waits for any more."""
        key = (run.job.task_id, run.job.attempt)

        def check() -> None:
            if self._runs.get(key) is run:
                self._kill("did not end an encoding")

        asyncio.get_running_loop().call_later(ENCODING_SECONDS, check)

    def _hurry_if_done(self) -> None:
        if self._leave_grace_seconds is not None and not self._runs:
            self._kill_after(self._leave_grace_seconds)

    def _kill_after(self, grace_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(grace_seconds, self._kill, "did not stop in time")

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
            self.refusal = self.death

    async def _read(self) -> None:
        try:
            while (frame := await self._channel.receive()) is not None:
                self._pulse.heard()
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
                self.death = self.refusal = message
                self._phase = Phase.LEAVING
            case Pong():
                return
            case _:
                self._tell(self._run_of(frame), frame)

    def _become_ready(self, contract: PipelineContract) -> None:
        if self._phase is not Phase.LOADING:
            return
        if why := self._accept(contract):
            self._kill(why)
            self.refusal = self.death
            return
        self.contract = contract
        self._phase = Phase.READY
        self._pulse.start()
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
            self._hurry_if_done()
        if run in self.denoising and not run.is_denoising:
            self.denoising.remove(run)
            self._on_change()

    def _bury(self) -> None:
        self._phase = Phase.DEAD
        self.death = self.death or f"Replica {self.id} {self._process.exit_text}"
        self.denoising.clear()
        for run in self._runs.values():
            run.fail(TaskCancelled() if run.is_stopping else ReplicaDied(self.death))
        self._runs.clear()
        self._on_change()
