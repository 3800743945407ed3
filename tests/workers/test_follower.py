"""A follower stops where the first rank does, and never waits for one that has gone on."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from telefuser_grpc.domain.job import Job
from telefuser_grpc.pipeline.loader import LoadedPipeline, load
from telefuser_grpc.workers.channel import BlockingChannel
from telefuser_grpc.workers.follower import Leader, take_part
from telefuser_grpc.workers.rank_messages import (
    Decided,
    Ended,
    FromFollower,
    FromLeader,
    Over,
    Together,
)
from tests.workers.local_pool import TESTS, make_job

WRITES = """
from pathlib import Path

PIPELINE_CONTRACT = {"supported_tasks": ["t2i"], "pipeline_name": "writes"}


def get_pipeline():
    return []


def run(pipeline, request, context):
    path = Path(request["output_path"])
    path.write_bytes(b"a picture")
    pipeline.append(f"{path.parent.name}/{path.name}")
    return {"output_path": str(path)}
"""


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
    return Together(number, (make_job(),))


@contextmanager
def loaded(pipeline: str) -> Iterator[LoadedPipeline]:
    path = TESTS / "pipelines" / f"{pipeline}_pipeline.py"
    loaded = load(path, task=None, parallelism=1)
    yield loaded
    loaded.close()


def take_part_in(pipeline: str, *jobs: Job, cancelled: bool = False) -> Ended:
    signal = threading.Event()
    if cancelled:
        signal.set()
    with loaded(pipeline) as ready:
        return take_part(ready, Together(1, jobs), signal)


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


def test_a_follower_leaves_nothing_where_the_first_rank_writes(tmp_path: Path) -> None:
    file = tmp_path / "writes_pipeline.py"
    file.write_text(WRITES)
    folder = tmp_path / "outputs"
    folder.mkdir()
    writer = load(file, task=None, parallelism=1)

    ended = take_part(writer, Together(1, (make_job(folder=folder),)), threading.Event())

    assert ended == Ended(1)
    assert writer.pipeline == ["images/task_1.png"]
    assert list(folder.iterdir()) == []
    writer.close()


@pytest.mark.parametrize(
    ("prompt", "failure"), [("raise", "ValueError: a fault of the pipeline"), ("work", "")]
)
def test_a_follower_tells_how_its_run_has_ended(prompt: str, failure: str) -> None:
    assert take_part_in("crashing", make_job(prompt=prompt)) == Ended(1, failure)


def test_a_cancelled_run_is_no_failure_of_a_follower() -> None:
    assert take_part_in("crashing", make_job(prompt="raise"), cancelled=True) == Ended(1)


def test_a_follower_runs_a_batch_as_one(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    log = tmp_path / "log"
    fields = {"prompt": "", "steps": 1, "seed": 1, "log": str(log)}

    ended = take_part_in("batching", make_job("task_1", **fields), make_job("task_2", **fields))

    assert ended == Ended(1)
    assert [json.loads(line) for line in log.read_text().splitlines()] == [["task_1", "task_2"]]
