"""A replica's own work: denoises jobs, alone or together, and encodes while the next ones run."""

import queue
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Generic, Protocol, TypeVar

import structlog

from telefuser_grpc.domain.artifact import OutputFile
from telefuser_grpc.domain.job import Job, RunReport
from telefuser_grpc.errors import OutputInvalid, PipelineFailed, TaskCancelled, TaskFailed
from telefuser_grpc.scheduler.spans import span
from telefuser_grpc.workers.attempt import Attempt
from telefuser_grpc.workers.backlog import Backlog
from telefuser_grpc.workers.channel import ReplicaChannel
from telefuser_grpc.workers.messages import Cancel, Ping, Pong, RunBatch, RunJob, Shutdown

logger = structlog.get_logger()

PARTED = "the devices of the replica no longer work together"
LOST_DEVICE = ("CUDA error", "device-side assert", PARTED)


class Made(Protocol):
    """What a pipeline has made, on its way to be encoded."""

    @property
    def report(self) -> RunReport:
        """What the run measured."""
        ...


M = TypeVar("M", bound=Made)


class DeviceLost(Exception):
    """No job can succeed in this process any more."""


class Worker(Generic[M]):
    """Takes jobs from the channel and sends what becomes of them.

    Three threads meet here: `listen` takes frames, `denoise` makes frames of pictures, `encode`
    makes files of those. `denoise` waits while two results wait to be encoded.
    """

    def __init__(
        self,
        channel: ReplicaChannel,
        *,
        encode: Callable[[M, Job], Sequence[OutputFile]],
    ) -> None:
        self._channel = channel
        self._encode = encode
        self._orders: queue.SimpleQueue[tuple[Attempt, ...] | None] = queue.SimpleQueue()
        self._backlog: Backlog[tuple[Attempt, M]] = Backlog(room=2)
        self._batches: dict[tuple[str, int], tuple[Attempt, ...]] = {}  # by each of their members

    def listen(self) -> None:
        """Takes frames until the server's death."""
        while (frame := self._channel.receive()) is not None:
            match frame:
                case RunJob(job):
                    self._take((job,))
                case RunBatch(jobs):
                    self._take(jobs)
                case Cancel(task_id, number):
                    self._cancel(task_id, number)
                case Ping():
                    self._channel.send(Pong())
                case Shutdown():
                    self._orders.put(None)

    def denoise(
        self,
        render: Callable[[Attempt], M],
        render_together: Callable[[Sequence[Attempt]], Sequence[M | TaskFailed]],
    ) -> None:
        """Renders jobs until the shutdown; those of a batch that fails one by one.

        Raises:
            DeviceLost
        """
        try:
            while (attempts := self._orders.get()) is not None:
                if len(attempts) > 1 and self._denoise_together(attempts, render_together):
                    continue
                for attempt in attempts:
                    self._denoise_one(attempt, render)
        finally:
            self._backlog.close()

    def encode(self) -> None:
        """Encodes what `denoise` has made, and ends when that has ended."""
        while (made := self._backlog.take()) is not None:
            attempt, rendering = made
            self._encode_one(attempt, rendering)
            self._forget(attempt)
            del made, rendering  # frames are large, and the next ones may be long in coming

    def _take(self, jobs: Sequence[Job]) -> None:
        attempts = tuple(Attempt(job, self._channel) for job in jobs)
        self._batches.update(dict.fromkeys((attempt.key for attempt in attempts), attempts))
        self._orders.put(attempts)

    def _cancel(self, task_id: str, number: int) -> None:
        """Cancels an attempt, which leaves at once those with whom it is made."""
        batch = self._batches.get((task_id, number), ())
        for attempt in batch:
            if attempt.key == (task_id, number):
                attempt.cancelled.set()
                if any(each.is_wanted for each in batch):
                    attempt.leave()
        self._backlog.wake()

    def _denoise_together(
        self,
        attempts: Sequence[Attempt],
        render: Callable[[Sequence[Attempt]], Sequence[M | TaskFailed]],
    ) -> bool:
        """Renders a batch and returns whether that has ended it."""
        try:
            with ExitStack() as spans:
                for attempt in attempts:
                    attempt.span = spans.enter_context(_span("replica.run", attempt))
                made = render(attempts)
        except Exception as error:
            return self._dissolve(attempts, error)
        self._pass_on(attempts, made)
        return True

    def _dissolve(self, attempts: Sequence[Attempt], error: Exception) -> bool:
        """Ends a batch that was cancelled; another is tried one by one, but for a lost device."""
        if all(attempt.cancelled.is_set() for attempt in attempts):
            for attempt in attempts:
                self._fail_denoising(attempt, TaskCancelled())
            return True
        if isinstance(error, PipelineFailed) and _tells_of_lost_device(error):
            raise DeviceLost(error.message)  # nobody knows because of whom: all are tried elsewhere
        logger.warning("batch failed", size=len(attempts), exc_info=error)
        for attempt in attempts:
            attempt.start_again()
        return False

    def _pass_on(self, attempts: Sequence[Attempt], made: Sequence[M | TaskFailed]) -> None:
        """Hands a batch to the encoder, all of it at once."""
        self._backlog.wait_for_room(until=lambda: not any(each.is_wanted for each in attempts))
        for attempt, result in zip(attempts, made, strict=True):
            if isinstance(result, TaskFailed):
                self._fail_denoising(attempt, result)
            elif attempt.is_wanted and attempt.rendered(result.report):
                self._backlog.put((attempt, result))
            else:
                self._fail_denoising(attempt, TaskCancelled())

    def _denoise_one(self, attempt: Attempt, render: Callable[[Attempt], M]) -> None:
        try:
            if attempt.cancelled.is_set():
                raise TaskCancelled
            with _span("replica.run", attempt):
                rendering = render(attempt)
            if not self._backlog.wait_for_room(until=attempt.cancelled.is_set):
                raise TaskCancelled
        except Exception as error:
            self._fail_denoising(attempt, error)
        else:
            if attempt.rendered(rendering.report):
                self._backlog.put((attempt, rendering))
            else:
                self._forget(attempt)

    def _fail_denoising(self, attempt: Attempt, error: Exception) -> None:
        self._forget(attempt)
        if not isinstance(error, TaskCancelled):
            logger.warning("run failed", task_id=attempt.job.task_id, exc_info=error)
        if not isinstance(error, TaskFailed):
            error = PipelineFailed(f"The pipeline failed with {type(error).__name__}")
        is_lost = isinstance(error, PipelineFailed) and _tells_of_lost_device(error)
        attempt.fail(error, is_device_lost=is_lost)
        if is_lost:
            raise DeviceLost(error.message)

    def _encode_one(self, attempt: Attempt, rendering: M) -> None:
        try:
            with _span("replica.encode", attempt):
                files = () if attempt.cancelled.is_set() else self._encode(rendering, attempt.job)
        except TaskFailed as error:
            logger.warning("encoding failed", task_id=attempt.job.task_id, exc_info=error)
            attempt.fail(error)
        except Exception as error:
            logger.exception("encoder broke", task_id=attempt.job.task_id)
            attempt.fail(OutputInvalid(f"Encoding failed with {type(error).__name__}"))
        else:
            attempt.finish(files)

    def _forget(self, attempt: Attempt) -> None:
        self._batches.pop(attempt.key, None)


def _span(name: str, attempt: Attempt) -> AbstractContextManager[object]:
    job = attempt.job
    return span(name, job.trace_parent, task_id=job.task_id, attempt=job.attempt)


def _tells_of_lost_device(error: PipelineFailed) -> bool:
    return any(sign in error.message for sign in LOST_DEVICE)
