"""The ranks of a replica run the same, decide the same, and end together or not at all."""

import queue
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from telefuser_grpc.errors import OutOfMemory, PipelineFailed, TaskCancelled
from telefuser_grpc.workers.channel import BlockingChannel
from telefuser_grpc.workers.rank_messages import (
    Decided,
    Ended,
    FromFollower,
    FromLeader,
    Joined,
    Over,
    Refused,
    Together,
)
from telefuser_grpc.workers.ranks import Ranks
from telefuser_grpc.workers.worker import PARTED
from tests.workers.local_pool import make_job

SHORT_SECONDS = 0.05
LONG_SECONDS = 30.0


class Group:
    """A first rank, with the far ends of its followers in the test's hands."""

    def __init__(self, *, followers: int = 1, patience_seconds: float = LONG_SECONDS) -> None:
        pairs = [socket.socketpair() for _ in range(followers)]
        self.followers: list[BlockingChannel[FromFollower, FromLeader]] = [
            BlockingChannel(theirs, FromLeader) for _, theirs in pairs
        ]
        self.refusals: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.leavings: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.ranks = Ranks(
            [BlockingChannel(ours, FromFollower) for ours, _ in pairs],
            refuse=self.refusals.put,
            leave=self.leavings.put,
            patience_seconds=patience_seconds,
        )

    def run(self, *cancels: threading.Event, readings: int = 0) -> None:
        """Runs a job for each cancel, and asks for the first one so often."""
        jobs = [make_job(f"task_{number}") for number, _ in enumerate(cancels)]
        with self.ranks.together(jobs, cancels) as agreed:
            for _ in range(readings):
                if agreed[0].is_set():
                    raise TaskCancelled

    def told(self, follower: int = 0, *, count: int) -> Sequence[FromLeader | None]:
        """Returns the next frames that a follower was sent."""
        return [self.followers[follower].receive() for _ in range(count)]

    def close(self) -> None:
        """Ends the followers, and waits until nobody hears them any more."""
        for follower in self.followers:
            follower.close()
        for thread in threading.enumerate():
            if thread.name.startswith("rank"):
                thread.join()


@pytest.fixture
def group() -> Iterator[Group]:
    group = Group()
    yield group
    group.close()


@pytest.fixture
def hasty() -> Iterator[Group]:
    group = Group(patience_seconds=SHORT_SECONDS)
    yield group
    group.close()


def test_a_rank_alone_asks_for_the_cancel_itself() -> None:
    cancelled = threading.Event()

    with Group(followers=0).ranks.together([make_job()], [cancelled]) as cancels:
        assert cancels == [cancelled]


def test_followers_are_told_of_the_jobs_and_of_their_end(group: Group) -> None:
    group.run(threading.Event(), threading.Event())

    together, over = group.told(count=2)
    assert isinstance(together, Together)
    assert [job.task_id for job in together.jobs] == ["task_0", "task_1"]
    assert over == Over()


def test_every_reading_of_a_cancel_is_decided_for_all(group: Group) -> None:
    group.run(threading.Event(), readings=2)

    assert group.told(count=4)[1:] == [Decided(False), Decided(False), Over()]


def test_all_followers_are_told_of_a_cancel_at_the_same_reading() -> None:
    group, cancelled = Group(followers=2), threading.Event()
    cancelled.set()

    with pytest.raises(TaskCancelled):
        group.run(cancelled, readings=3)

    for follower in (0, 1):
        assert group.told(follower, count=3)[1:] == [Decided(True), Over()]
    group.close()


def test_a_failure_of_all_ranks_is_that_of_the_task(group: Group) -> None:
    failure = OutOfMemory("CUDA out of memory")

    def run() -> None:
        with group.ranks.together([make_job()], []):
            group.followers[0].send(Ended(1, failure.message))
            raise failure

    with pytest.raises(OutOfMemory) as told:
        run()

    assert told.value is failure
    group.run(threading.Event())
    assert group.leavings.empty()


def test_a_failure_of_the_first_rank_alone_ends_the_replica_too(hasty: Group) -> None:
    with (
        pytest.raises(PipelineFailed, match=f"^CUDA out of memory .{PARTED}.$"),
        hasty.ranks.together([make_job()], []),
    ):
        raise OutOfMemory("CUDA out of memory")


def test_a_cancel_does_not_wait_for_the_others(group: Group) -> None:
    with pytest.raises(TaskCancelled), group.ranks.together([make_job()], []):
        raise TaskCancelled


def test_a_failure_of_a_follower_alone_ends_the_replica(hasty: Group) -> None:
    with hasty.ranks.together([make_job()], []):
        hasty.followers[0].send(Ended(1, "ValueError: odd"))

        assert hasty.leavings.get(timeout=LONG_SECONDS) == "rank 1 failed alone: ValueError: odd"


def test_a_follower_that_does_not_come_back_ends_the_replica(hasty: Group) -> None:
    hasty.run(threading.Event())

    hasty.run(threading.Event())

    assert hasty.leavings.get(timeout=LONG_SECONDS) == "a rank did not end the run before"


def test_the_death_of_a_follower_ends_the_replica() -> None:
    group = Group(followers=2)

    group.followers[1].close()

    assert group.leavings.get(timeout=LONG_SECONDS) == "rank 2 is gone"
    group.close()


def test_ranks_are_loaded_when_all_have_joined() -> None:
    group = Group(followers=2)
    for follower in group.followers:
        follower.send(Joined())

    group.ranks.wait_until_loaded()

    group.close()


def test_what_a_follower_cannot_load_is_told_while_the_first_rank_loads(group: Group) -> None:
    group.followers[0].send(Refused("The model does not fit"))

    assert group.refusals.get(timeout=LONG_SECONDS) == "The model does not fit"
