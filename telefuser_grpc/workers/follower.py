"""A follower: a process that works at every run of its replica's first rank, on its own device."""

import os
import queue
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import structlog

from telefuser_grpc.domain.job import Job
from telefuser_grpc.errors import TaskCancelled, TaskFailed
from telefuser_grpc.pipeline.context import RunContext, Signal
from telefuser_grpc.pipeline.context_parallel import Meeting
from telefuser_grpc.pipeline.loader import LoadedPipeline, PipelineLoadError
from telefuser_grpc.pipeline.runner import accompany
from telefuser_grpc.workers.channel import BlockingChannel
from telefuser_grpc.workers.child import live
from telefuser_grpc.workers.loading import load_as_ordered, settle
from telefuser_grpc.workers.rank_messages import (
    Decided,
    Ended,
    Follow,
    FromFollower,
    FromLeader,
    Joined,
    Over,
    Refused,
    Together,
)

logger = structlog.get_logger()

NEVER = float("inf")

FollowerChannel = BlockingChannel[FromFollower, FromLeader]


def follow(descriptor: int, *, on_end: Callable[[], None]) -> NoReturn:
    """Follows the first rank, which has the other end of the socket with this number, to its end.

    That ends this process at once, in the middle of whatever it does.
    """
    live(descriptor, lambda end: _follow(BlockingChannel(end, FromLeader)), on_end=on_end)


def _follow(channel: FollowerChannel) -> None:
    order = channel.receive()
    if not isinstance(order, Follow):
        return
    leader = Leader(channel, on_death=lambda: os._exit(1))
    threading.Thread(target=leader.listen, name="listen", daemon=True).start()
    try:
        meeting = Meeting(file=order.meeting, rank=order.rank, size=order.size)
        loaded = load_as_ordered(order.load, meeting)
    except PipelineLoadError as error:
        channel.send(Refused(str(error).encode(errors="replace").decode()))
        raise SystemExit(f"rank {order.rank} could not load") from error
    settle()
    channel.send(Joined())
    while True:
        channel.send(take_part(loaded, leader.next_run(), leader))


class Leader:
    """The first rank, as a follower sees it.

    Args:
        on_death: Ends this process.
    """

    def __init__(self, channel: FollowerChannel, *, on_death: Callable[[], object]) -> None:
        self._channel = channel
        self._on_death = on_death
        self._frames: queue.SimpleQueue[FromLeader] = queue.SimpleQueue()
        self._is_over = True

    def listen(self) -> None:
        """Takes frames until the first rank's death, which is that of this process too."""
        while (frame := self._channel.receive()) is not None:
            self._frames.put(frame)
        self._on_death()

    def next_run(self) -> Together:
        """Waits for the next run, past what was decided in the last one without being asked for."""
        while not isinstance(frame := self._frames.get(), Together):
            continue
        self._is_over = False
        return frame

    def is_set(self) -> bool:
        """Tells whether the run is to stop: waits for what the first rank decides or has decided.

        A run that goes on when that of the first rank is over is to stop.
        """
        if self._is_over:
            return True
        frame = self._frames.get()
        self._is_over = isinstance(frame, Over)
        return self._is_over or (isinstance(frame, Decided) and frame.is_cancelled)


def take_part(loaded: LoadedPipeline, run: Together, cancelled: Signal) -> Ended:
    """Does the work of a run, lets go what it makes, and returns how it ended here."""
    try:
        _accompany(loaded, run, cancelled)
    except TaskCancelled:
        return Ended(run.number)
    except TaskFailed as failure:
        logger.warning("run failed", task_id=run.jobs[0].task_id, exc_info=failure)
        return Ended(run.number, failure.message.encode(errors="replace").decode())
    return Ended(run.number)


def _accompany(loaded: LoadedPipeline, run: Together, cancelled: Signal) -> None:
    context = RunContext(report=lambda _: None, cancelled=cancelled, preview_interval_seconds=NEVER)
    with tempfile.TemporaryDirectory(prefix="rank-", ignore_cleanup_errors=True) as folder:
        jobs = [_elsewhere(job, Path(folder, str(row))) for row, job in enumerate(run.jobs)]
        accompany(loaded, jobs, [context] * len(jobs))


def _elsewhere(job: Job, folder: Path) -> Job:
    """Has a job write where it is in nobody's way."""
    folder.mkdir()
    (folder / job.output_name).parent.mkdir(parents=True, exist_ok=True)
    return replace(job, output_folder=str(folder))
