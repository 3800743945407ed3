"""One job in the replica: its cancel switch, and the frames that tell of it."""

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
    """Tells the server of one job; what is reported after the denoising is dropped."""

    def __init__(self, job: Job, channel: ReplicaChannel) -> None:
        self.job = job
        self.cancelled = threading.Event()
        self._key = (job.task_id, job.attempt)
        self._channel = channel
        self._reporting = threading.Lock()
        self._is_denoising = True

    def report(self, change: Progress | Preview) -> None:
        """Sends progress or a preview; any thread of the pipeline may call it."""
        if isinstance(change, Progress):
            change = plausible(change)
        with self._reporting:
            if not self._is_denoising:
                return
            if isinstance(change, Progress):
                mark_step(change)
                self._channel.send(Stepped(*self._key, change))
            else:
                self._channel.send(Previewed(*self._key, change))

    def rendered(self, report: RunReport) -> None:
        """Tells that the frames are made."""
        self._end_denoising()
        self._channel.send(Rendered(*self._key, report))

    def finish(self, files: Sequence[OutputFile]) -> None:
        """Ends with the files, which nobody wants after a cancel."""
        if self.cancelled.is_set():
            self._channel.send(Stopped(*self._key))
            return
        try:
            self._channel.send(Finished(*self._key, tuple(files)))
        except (ProtocolError, ValueError) as error:  # too many files, or names that are no text
            self.fail(OutputInvalid(f"The result cannot be told: {type(error).__name__}"))

    def fail(self, error: TaskFailed, *, is_device_lost: bool = False) -> None:
        """Ends with an error."""
        self._end_denoising()
        if isinstance(error, TaskCancelled):
            self._channel.send(Stopped(*self._key))
        else:
            message = error.message.encode(errors="replace").decode()  # any bytes may be in it
            self._channel.send(Failed(*self._key, error.reason, message, is_device_lost))

    def _end_denoising(self) -> None:
        with self._reporting:
            self._is_denoising = False
