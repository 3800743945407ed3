"""The other ranks of a replica, as its first one sees them: it starts, tells and loses them."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import structlog

from telefuser_grpc.domain.job import Job
from telefuser_grpc.errors import PipelineFailed, TaskCancelled, TaskFailed
from telefuser_grpc.pipeline.context import Signal
from telefuser_grpc.pipeline.context_parallel import Meeting, splits
from telefuser_grpc.workers.channel import BlockingChannel
from telefuser_grpc.workers.messages import Load
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
from telefuser_grpc.workers.worker import PARTED

logger = structlog.get_logger()

FOLLOW = "follow"
PATIENCE_SECONDS = 60.0
"""How long ranks may differ about the end of a run in which one of them has failed."""

LeaderChannel = BlockingChannel[FromLeader, FromFollower]


class Ranks:
    """Keeps the ranks of a replica in step; without others it does nothing.

    Whatever parts them ends the process: the server starts another, and with it all of them.

    Args:
        channels: One to each follower.
        refuse: Ends the process, as one of them cannot load the pipeline, and tells why.
        leave: Ends the process, and tells why.
    """

    def __init__(
        self,
        channels: Sequence[LeaderChannel],
        *,
        refuse: Callable[[str], None],
        leave: Callable[[str], None],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._followers = [Follower(rank, each) for rank, each in enumerate(channels, start=1)]
        self._refuse = refuse
        self._leave = leave
        self._patience_seconds = patience_seconds
        self._changed = threading.Condition()
        self._run = 0
        self._is_running = False
        for follower in self._followers:
            name = f"rank {follower.rank}"
            threading.Thread(target=self._hear, args=(follower,), name=name, daemon=True).start()

    def wait_until_loaded(self) -> None:
        """Waits until all have loaded the pipeline."""
        with self._changed:
            self._changed.wait_for(lambda: all(each.has_joined for each in self._followers))

    @contextmanager
    def together(self, jobs: Sequence[Job], cancels: Sequence[Signal]) -> Iterator[list[Signal]]:
        """Has all ranks run these jobs; yields their cancels, on which all ranks agree.

        Raises:
            PipelineFailed: The run failed here, and the others did not end it.
        """
        if not self._followers:
            yield list(cancels)
            return
        self._begin(jobs)
        try:
            yield [Agreed(cancel, self._tell) for cancel in cancels]
        except TaskFailed as failure:
            self._end()
            if not isinstance(failure, TaskCancelled) and not self._have_ended():
                raise PipelineFailed(f"{failure.message} ({PARTED})") from failure
            raise
        self._end()

    def _begin(self, jobs: Sequence[Job]) -> None:
        if not self._have_ended():
            self._leave("a rank did not end the run before")
        with self._changed:
            self._run += 1
            self._is_running = True
        self._tell(Together(self._run, tuple(jobs)))

    def _end(self) -> None:
        with self._changed:
            self._is_running = False
        self._tell(Over())

    def _have_ended(self) -> bool:
        """Waits until the others have ended the last run too, unless that takes too long."""
        with self._changed:
            return self._changed.wait_for(
                lambda: all(each.ended == self._run for each in self._followers),
                self._patience_seconds,
            )

    def _tell(self, frame: FromLeader) -> None:
        for follower in self._followers:
            follower.send(frame)

    def _hear(self, follower: "Follower") -> None:
        while (frame := follower.channel.receive()) is not None:
            with self._changed:
                follower.take(frame)
                self._changed.notify_all()
            if isinstance(frame, Refused):
                self._refuse(frame.message)  # the first rank may wait for that one to load
            elif isinstance(frame, Ended) and frame.failure:
                self._expect_end(frame, follower)
        follower.channel.close()
        self._leave(f"rank {follower.rank} is gone")

    def _expect_end(self, ended: Ended, follower: "Follower") -> None:
        """Leaves if the first rank does not fail, too, but waits for what never comes."""

        def check() -> None:
            if self._is_running and self._run == ended.number:
                self._leave(f"rank {follower.rank} failed alone: {ended.failure}")

        timer = threading.Timer(self._patience_seconds, check)
        timer.daemon = True
        timer.start()


class Follower:
    """One of the others, and what is known of it."""

    def __init__(self, rank: int, channel: LeaderChannel) -> None:
        self.rank = rank
        self.channel = channel
        self.has_joined = False
        self.ended = 0

    def send(self, frame: FromLeader) -> None:
        """Sends a frame; to a dead one it goes nowhere."""
        try:
            self.channel.send(frame)
        except OSError:  # whoever hears it tells of that
            return

    def take(self, frame: FromFollower) -> None:
        """Notes what it has told."""
        match frame:
            case Joined():
                self.has_joined = True
            case Ended(number):
                self.ended = number


class Agreed:
    """A cancel of which every reading is told to the others, whose own reading waits for it."""

    def __init__(self, cancel: Signal, tell: Callable[[FromLeader], None]) -> None:
        self._cancel = cancel
        self._tell = tell
        self._telling = threading.Lock()

    def is_set(self) -> bool:
        """Decides whether it is, for all ranks."""
        with self._telling:
            is_cancelled = self._cancel.is_set()
            self._tell(Decided(is_cancelled))
            return is_cancelled


def start_ranks(
    order: Load, *, refuse: Callable[[str], NoReturn], leave: Callable[[str], NoReturn]
) -> tuple[Ranks, Meeting | None]:
    """Starts the other ranks that an order needs; returns them and where this one meets them."""
    if not splits(order.options, order.parallelism):
        return Ranks((), refuse=refuse, leave=leave), None
    file = str(Path(tempfile.mkdtemp(prefix="ranks-"), "meeting"))
    channels = []
    for rank in range(1, order.parallelism):
        channels.append(_start(rank))
        channels[-1].send(Follow(order, file, rank, order.parallelism))
    meeting = Meeting(file=file, rank=0, size=order.parallelism)
    return Ranks(channels, refuse=refuse, leave=leave), meeting


def _start(rank: int) -> LeaderChannel:
    """Starts this process's command again, as a follower; the thread that calls must not end."""
    ours, theirs = socket.socketpair()
    with theirs:
        child = subprocess.Popen(
            [sys.executable, *sys.orig_argv[1:-1], FOLLOW, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    logger.info("rank started", rank=rank, pid=child.pid, leader=os.getpid())
    return BlockingChannel(ours, FromFollower)
