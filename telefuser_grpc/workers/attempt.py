"""One job in the replica: its cancel, and the frames that tell of it."""

import threading
from collections.abc import Sequence

from telefuser_grpc.domain.artifact import OutputFile
from telefuser_grpc.domain.job import Job, RunReport
from telefuser_grpc.domain.task import Preview, Progress
from telefuser_grpc.errors import OutputInvalid, TaskCancelled, TaskFailed
from telefuser_grpc.scheduler.spans import mark_step
from telefuser_grpc.workers.channel import ProtocolError, ReplicaChannel
from telefuser_grpc.workers.messages import (
    Failed,
    Finished,
    Previewed,
    Rendered,
    Stepped,
    Stopped,
)
from telefuser_grpc.workers.plausible import plausible


class Attempt:
    """Tells the server of one job, and of its end once.

    What is reported after the denoising is dropped.

    Attributes:
        cancelled: Set when nobody wants the result any more.
        key: What tells it from all others.
        span: On which its steps are marked where it is not the current one.
    """

    def __init__(self, job: Job, channel: ReplicaChannel) -> None:
        self.job = job
        self.cancelled = threading.Event()
        self.span: object = None
        self.key = (job.task_id, job.attempt)
        self._channel = channel
        self._telling = threading.Lock()
        self._is_denoising = True
        self._is_over = False

    @property
    def is_wanted(self) -> bool:
        """Tells whether it is still being denoised for somebody."""
        return self._is_denoising and not self.cancelled.is_set()

    def leave(self) -> None:
        """Ends while the pipeline works on for others: the result is no longer wanted."""
        with self._telling:
            if self._is_denoising:
                self._end(Stopped(*self.key))

    def report(self, change: Progress | Preview) -> None:
        """Sends progress or a preview; any thread of the pipeline may call it."""
        if isinstance(change, Progress):
            change = plausible(change)
        with self._telling:
            if not self._is_denoising:
                return
            if isinstance(change, Progress):
                mark_step(change, self.span)
                self._channel.send(Stepped(*self.key, change))
            else:
                self._channel.send(Previewed(*self.key, change))

    def start_again(self) -> None:
        """Tells that the steps so far were in vain, and the next ones may be long in coming."""
        self.span = None
        self.report(Progress(step=0, steps=0))

    def rendered(self, report: RunReport) -> bool:
        """Tells that the frames are made; returns whether that was still of interest."""
        with self._telling:
            if not self._is_denoising:
                return False
            self._is_denoising = False
            self._channel.send(Rendered(*self.key, report))
            return True

    def finish(self, files: Sequence[OutputFile]) -> None:
        """Ends with the files, which nobody wants after a cancel."""
        if self.cancelled.is_set():
            self.fail(TaskCancelled())
            return
        try:
            with self._telling:
                self._end(Finished(*self.key, tuple(files)))
        except (ProtocolError, ValueError) as error:  # too many files, or names that are no text
            self.fail(OutputInvalid(f"The result cannot be told: {type(error).__name__}"))

    def fail(self, error: TaskFailed, *, is_device_lost: bool = False) -> None:
        """Ends with an error unless it has ended."""
        with self._telling:
            if isinstance(error, TaskCancelled):
                self._end(Stopped(*self.key))
            else:
                message = error.message.encode(errors="replace").decode()  # any bytes may be in it
                self._end(Failed(*self.key, error.reason, message, is_device_lost))

    def _end(self, frame: Finished | Failed | Stopped) -> None:
        if not self._is_over:
            self._is_denoising = False
            self._channel.send(frame)
            self._is_over = True
