"""A follower stops where the first rank does, and never waits for one that has gone on."""

import socket
import threading
from collections.abc import Iterator

import pytest

from telefuser_grpc.workers.channel import BlockingChannel
from telefuser_grpc.workers.follower import Leader
from telefuser_grpc.workers.rank_messages import (
    Decided,
    FromFollower,
    FromLeader,
    Over,
    Together,
)
from tests.workers.local_pool import make_job


class FirstRank:
    """Sends to a follower what a first rank does."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.channel: BlockingChannel[FromLeader, FromFollower] = BlockingChannel(
            ours, FromFollower
        )
        far: BlockingChannel[FromFollower, FromLeader] = BlockingChannel(theirs, FromLeader)
        self.leader = Leader(far, on_death=far.close)
        self.listening = threading.Thread(target=self.leader.listen)
        self.listening.start()

    def send(self, *frames: FromLeader) -> None:
        for frame in frames:
            self.channel.send(frame)


@pytest.fixture
def first() -> Iterator[FirstRank]:
    first = FirstRank()
    yield first
    first.channel.close()
    first.listening.join()


def run(number: int) -> Together:
    return Together(number, (make_job(),), seed=7)


def test_a_follower_reads_what_was_decided(first: FirstRank) -> None:
    first.send(run(1), Decided(False), Decided(True))

    first.leader.next_run()

    assert [first.leader.is_set(), first.leader.is_set()] == [False, True]


def test_a_follower_that_goes_on_alone_is_to_stop(first: FirstRank) -> None:
    first.send(run(1), Decided(False), Over())

    first.leader.next_run()

    assert [first.leader.is_set() for _ in range(3)] == [False, True, True]


def test_what_nobody_asked_for_is_of_no_meaning_to_the_next_run(first: FirstRank) -> None:
    first.send(run(1), Decided(True), Over(), run(2), Decided(False))

    assert [first.leader.next_run().number for _ in range(2)] == [1, 2]

    assert not first.leader.is_set()


def test_the_death_of_the_first_rank_is_noticed_at_once() -> None:
    ours, theirs = socket.socketpair()
    died = threading.Event()
    channel: BlockingChannel[FromFollower, FromLeader] = BlockingChannel(theirs, FromLeader)

    ours.close()
    Leader(channel, on_death=died.set).listen()

    assert died.is_set()
    channel.close()
