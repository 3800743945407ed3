"""Replicas in memory: each run follows a script of steps, failures, deaths and hangs."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from telefuser_grpc.domain.artifact import MediaFacts, OutputFile
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.job import Job, RunReport
from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.domain.task import Preview, Progress
from telefuser_grpc.errors import NoCapacity, ReplicaDied, TaskCancelled, TaskFailed

CONTRACT = PipelineContract.parse({"supported_tasks": ["t2v", "t2i"]}, stem="fake")
CONTENT = b"frames"
VIDEO = MediaFacts(content_type="video/mp4", width=16, height=16, frame_count=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a run does.

    Attributes:
        steps: How many steps it reports.
        previews: After which steps it sends a preview.
        gates: Events that must be set before the step of that number; 0 is before all.
        error: Raised after the steps.
        dies_after: The step after which the replica dies; 0 is before all.
        hangs_after: The step after which nothing comes until the run is stopped.
        ignores_stop: Whether a stop must kill the replica.
        encode_gate: Event that must be set before the result is there.
        encode_error: Raised instead of the result.
        preview: The picture of each preview.
        is_made_alone: Whether the batch that it is of falls apart.
        content: What the file holds that is made, and what it is by `facts`.
    """

    steps: int = 4
    previews: frozenset[int] = frozenset()
    gates: dict[int, asyncio.Event] = field(default_factory=dict)
    error: TaskFailed | None = None
    dies_after: int | None = None
    hangs_after: int | None = None
    ignores_stop: bool = False
    encode_gate: asyncio.Event | None = None
    encode_error: TaskFailed | None = None
    preview: bytes = b"jpeg"
    is_made_alone: bool = False
    content: bytes = CONTENT
    facts: MediaFacts = VIDEO


class FakeRun:
    """A `Run` that follows a script; `stops` keeps the graces it was stopped with.

    `planned_size` is with how many it was begun, which is `batch_size` once its frames are made.
    """

    def __init__(self, replica: "FakeReplica", job: Job, script: Script) -> None:
        self.job = job
        self.stops: list[float] = []
        self.batch_size = 0
        self.planned_size = 1
        self._replica = replica
        self._script = script
        self._ended = asyncio.Event()
        self._error: TaskFailed | None = None

    async def updates(self) -> AsyncIterator[Progress | Preview]:
        script = self._script
        for step in range(script.steps + 1):
            await self._pass(script.gates.get(step))
            if step > 0:
                yield Progress(step=step, steps=script.steps)
            if step in script.previews:
                yield Preview(step=step, image=script.preview)
            if step == script.dies_after:
                self._replica.die()
            if step == script.hangs_after:
                await self._ended.wait()
            self._check()
        if script.error is not None:
            self.end(script.error)
        self._check()
        self.batch_size = 1 if script.is_made_alone else self.planned_size
        self._replica.rendered(self)

    async def result(self) -> tuple[RunReport, Sequence[OutputFile]]:
        await self._pass(self._script.encode_gate)
        if self._script.encode_error is not None:
            raise self._script.encode_error
        report = RunReport(inference_seconds=1.0, batch_size=self.batch_size)
        return report, self._files()

    async def stop(self, grace_seconds: float) -> None:
        self.stops.append(grace_seconds)
        if self._script.ignores_stop:
            self._replica.die()
        self.end(TaskCancelled())

    def end(self, error: TaskFailed) -> None:
        """Ends the run with an error unless it has ended."""
        if not self._ended.is_set():
            self._error = error
            self._ended.set()
            self._replica.rendered(self)

    async def _pass(self, gate: asyncio.Event | None) -> None:
        if gate is not None:
            waits = [asyncio.ensure_future(each.wait()) for each in (gate, self._ended)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _files(self) -> tuple[OutputFile, ...]:
        if not self.job.output_name:
            return ()
        path = Path(self.job.output_folder) / self.job.output_name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = self._script.content
        path.write_bytes(content)
        return (
            OutputFile(
                path=str(path),
                name=self.job.output_name,
                size_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                facts=self._script.facts,
            ),
        )


class FakeReplica:
    """A `Replica` whose death a test may cause with `die`."""

    def __init__(self, number: int, pool: "FakePool") -> None:
        self.id = number
        self.is_dead = False
        self.restarts = 0
        self.runs: list[FakeRun] = []
        self.denoising: list[FakeRun] = []
        self._pool = pool

    async def run(self, job: Job) -> FakeRun:
        (run,) = await self.run_batch([job])
        return run

    async def run_batch(self, jobs: Sequence[Job]) -> Sequence[FakeRun]:
        if self.is_dead:
            raise ReplicaDied(f"Replica {self.id} died")
        assert not self.denoising, "two orders on one replica"
        runs = [FakeRun(self, job, self._pool.script_of(job)) for job in jobs]
        self.denoising = list(runs)
        self.runs += runs
        self._pool.batches.append([job.task_id for job in jobs])
        for run in runs:
            run.planned_size = len(runs)
            self._pool.note(run)
        return runs

    def rendered(self, run: FakeRun) -> None:
        """Notes that the frames of a run are made or will never be."""
        if run in self.denoising:
            self.denoising.remove(run)

    def die(self) -> None:
        """Ends every open run with ReplicaDied, and lets the pool replace the replica."""
        if self.is_dead:
            return
        self.is_dead = True
        for run in self.runs:
            run.end(ReplicaDied(f"Replica {self.id} died"))
        self._pool.bury(self)


class FakePool:
    """A `ReplicaPool` of scripted replicas.

    `scripts[task_id]` holds the scripts of that task's attempts in order; when they are used up,
    and for other tasks, `script` is followed. `runs` keeps every run in the order of its start.
    `batches` keeps which tasks each order held. With `respawns=False` a dead replica is not
    replaced.
    """

    def __init__(
        self,
        *,
        replicas: int = 1,
        script: Script | None = None,
        respawns: bool = True,
        contract: PipelineContract = CONTRACT,
    ) -> None:
        self.script = script or Script()
        self.batches: list[list[str]] = []
        self.scripts: dict[str, list[Script]] = {}
        self.runs: list[FakeRun] = []
        self.respawns = respawns
        self._contract = contract
        self.replicas = [FakeReplica(number, self) for number in range(replicas)]
        self._idle = deque(self.replicas)
        self._waiting: deque[asyncio.Future[FakeReplica]] = deque()
        self._started = asyncio.Condition()
        self._notices: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lease(self, *, first: bool = False) -> AsyncIterator[FakeReplica]:
        replica = await self._take(first=first)
        try:
            yield replica
        finally:
            if not replica.is_dead:
                assert not replica.denoising, "given back while it denoises"
                self._give(replica)

    async def contract(self) -> PipelineContract:
        if self.is_lost:
            raise NoCapacity()
        return self._contract

    def status(self) -> Sequence[ReplicaStatus]:
        return [self._status(replica) for replica in self.replicas]

    @property
    def is_lost(self) -> bool:
        return all(replica.is_dead for replica in self.replicas)

    async def started(self, task_id: str, *, times: int = 1) -> FakeRun:
        """Waits until a task was started so many times, and returns its latest run."""
        async with self._started:
            await self._started.wait_for(lambda: len(self.runs_of(task_id)) >= times)
        return self.runs_of(task_id)[-1]

    def runs_of(self, task_id: str) -> list[FakeRun]:
        """Returns a task's runs in the order of their start."""
        return [run for run in self.runs if run.job.task_id == task_id]

    def script_of(self, job: Job) -> Script:
        """Takes the next script for a job."""
        scripts = self.scripts.get(job.task_id)
        return scripts.pop(0) if scripts else self.script

    def note(self, run: FakeRun) -> None:
        """Keeps a started run and tells those who wait for it."""
        self.runs.append(run)
        notice = asyncio.ensure_future(self._notify())
        self._notices.add(notice)
        notice.add_done_callback(self._notices.discard)

    def bury(self, dead: FakeReplica) -> None:
        """Replaces a dead replica, or shrinks, and refuses those who wait when none is left."""
        if dead in self._idle:
            self._idle.remove(dead)
        if self.respawns:
            replica = FakeReplica(dead.id, self)
            replica.restarts = dead.restarts + 1
            self.replicas[dead.id] = replica
            self._give(replica)
        elif self.is_lost:
            while self._waiting:
                if not (waiter := self._waiting.popleft()).done():
                    waiter.set_exception(NoCapacity())

    async def _take(self, *, first: bool) -> FakeReplica:
        if self.is_lost:
            raise NoCapacity()
        if self._idle:
            return self._idle.popleft()
        waiter: asyncio.Future[FakeReplica] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(waiter)
        else:
            self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._give(waiter.result())
            raise

    def _give(self, replica: FakeReplica) -> None:
        while self._waiting:
            if not (waiter := self._waiting.popleft()).done():
                waiter.set_result(replica)
                return
        self._idle.append(replica)

    def _status(self, replica: FakeReplica) -> ReplicaStatus:
        runs = replica.denoising
        state = ReplicaState.DEAD if replica.is_dead else ReplicaState.IDLE
        return ReplicaStatus(
            id=replica.id,
            state=ReplicaState.BUSY if runs else state,
            task_ids=tuple(run.job.task_id for run in runs),
            restarts=replica.restarts,
            last_error=f"Replica {replica.id} died" if replica.restarts else "",
        )

    async def _notify(self) -> None:
        async with self._started:
            self._started.notify_all()
