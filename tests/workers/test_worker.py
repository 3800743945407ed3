"""A worker tells the server exactly once how each job has ended."""

import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import pytest

from telefuser_grpc.domain.artifact import OutputFile
from telefuser_grpc.domain.job import Job, RunReport
from telefuser_grpc.domain.task import Progress
from telefuser_grpc.errors import (
    OutOfMemory,
    OutputInvalid,
    PipelineFailed,
    TaskCancelled,
    TaskFailed,
)
from telefuser_grpc.workers.attempt import Attempt
from telefuser_grpc.workers.channel import ReplicaChannel, _pack
from telefuser_grpc.workers.messages import (
    Cancel,
    Failed,
    Finished,
    FromReplica,
    FromServer,
    Rendered,
    RunBatch,
    RunJob,
    Shutdown,
    Stepped,
    Stopped,
)
from telefuser_grpc.workers.worker import PARTED, DeviceLost, Worker
from tests.workers.local_pool import make_job

F = TypeVar("F")
Together = Callable[[Sequence[Attempt]], Sequence["Clip | TaskFailed"]]

REPORT = RunReport(inference_seconds=1.0)


@dataclass(frozen=True, slots=True)
class Clip:
    """What the worker's pipeline makes."""

    report: RunReport = REPORT


class Server:
    """The far end: sends frames, and reads what comes back until the worker has ended."""

    def __init__(self) -> None:
        self._socket, self.theirs = socket.socketpair()
        self._file = self._socket.makefile("rb")
        self._decoder: msgspec.json.Decoder[FromReplica] = msgspec.json.Decoder(FromReplica)

    def send(self, *frames: FromServer) -> None:
        for frame in frames:
            self._socket.sendall(_pack(frame))

    def receive(self) -> FromReplica | None:
        if not (header := self._file.read(4)):
            return None
        body = self._file.read(int.from_bytes(header, "big"))
        return self._decoder.decode(body)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def test_a_job_is_rendered_then_finished(server: Server) -> None:
    frames = _work(server, RunJob(make_job()))

    assert frames == [Rendered("task_1", 1, REPORT), Finished("task_1", 1, ())]


def test_reports_after_the_frames_are_dropped(server: Server) -> None:
    attempts: list[Attempt] = []

    def encode(clip: Clip, job: Job) -> Sequence[OutputFile]:
        attempts[0].report(Progress(step=9, steps=9))
        return ()

    def render(attempt: Attempt) -> Clip:
        attempts.append(attempt)
        attempt.report(Progress(step=1, steps=9))
        return Clip()

    frames = _work(server, RunJob(make_job()), render=render, encode=encode)

    assert [type(each) for each in frames] == [Stepped, Rendered, Finished]


def test_a_cancel_that_comes_before_its_turn_is_obeyed(server: Server) -> None:
    rendered: list[Attempt] = []

    def render(attempt: Attempt) -> Clip:
        rendered.append(attempt)
        return Clip()

    frames = _work(server, RunJob(make_job()), Cancel("task_1", 1), render=render)

    assert frames == [Stopped("task_1", 1)]
    assert not rendered


def test_a_cancel_of_another_attempt_is_no_cancel(server: Server) -> None:
    frames = _work(server, RunJob(make_job()), Cancel("task_1", 2), Cancel("task_2", 1))

    assert Finished("task_1", 1, ()) in frames


@pytest.mark.parametrize(
    ("error", "frame"),
    [
        (PipelineFailed("no"), Failed("task_1", 1, "PIPELINE_FAILED", "no")),
        (OutOfMemory("too large"), Failed("task_1", 1, "OUT_OF_MEMORY", "too large")),
        (TaskCancelled(), Stopped("task_1", 1)),
        (
            KeyError("/secret"),
            Failed("task_1", 1, "PIPELINE_FAILED", "The pipeline failed with KeyError"),
        ),
    ],
)
def test_an_error_of_the_run_ends_it(server: Server, error: Exception, frame: FromReplica) -> None:
    assert _work(server, RunJob(make_job()), render=_raising(error)) == [frame]


@pytest.mark.parametrize(
    ("error", "message"),
    [(OutputInvalid("empty"), "empty"), (KeyError("x"), "Encoding failed with KeyError")],
)
def test_an_error_of_the_encoding_ends_its_run_and_no_other(
    server: Server, error: Exception, message: str
) -> None:
    def encode(clip: Clip, job: Job) -> Sequence[OutputFile]:
        if job.task_id == "task_1":
            raise error
        return ()

    frames = _work(server, RunJob(make_job()), RunJob(make_job("task_2")), encode=encode)

    assert Failed("task_1", 1, "OUTPUT_INVALID", message) in frames
    assert Finished("task_2", 1, ()) in frames


@pytest.mark.parametrize(
    "sign", ["CUDA error: unspecified launch failure", "device-side assert", PARTED]
)
def test_a_lost_device_ends_the_worker_after_what_it_still_encodes(
    server: Server, sign: str
) -> None:
    def render(attempt: Attempt) -> Clip:
        if attempt.job.task_id == "task_2":
            raise PipelineFailed(sign)
        return Clip()

    with pytest.raises(DeviceLost):
        _work(server, RunJob(make_job()), RunJob(make_job("task_2")), render=render)

    frames = _drain(server)
    assert Failed("task_2", 1, "PIPELINE_FAILED", sign, is_device_lost=True) in frames
    assert Finished("task_1", 1, ()) in frames


def test_the_denoising_waits_while_two_results_wait_for_the_encoder(server: Server) -> None:
    encoding = threading.Event()
    rendered: queue.SimpleQueue[str] = queue.SimpleQueue()

    def render(attempt: Attempt) -> Clip:
        rendered.put(attempt.job.task_id)
        return Clip()

    def encode(clip: Clip, job: Job) -> Sequence[OutputFile]:
        assert encoding.wait(10)
        return ()

    worker: Worker[Clip] = Worker(ReplicaChannel(server.theirs), encode=encode)
    threads = _threads(worker, render)
    server.send(*(RunJob(make_job(str(number))) for number in range(5)))
    for number in range(4):
        assert rendered.get(timeout=10) == str(number)
    told = [server.receive() for _ in range(3)]

    assert told == [Rendered(str(number), 1, REPORT) for number in range(3)]
    assert rendered.empty()
    server.send(Shutdown())
    encoding.set()
    _end(worker, threads, server)
    assert [each for each in _drain(server) if isinstance(each, Rendered)] == [
        Rendered(str(number), 1, REPORT) for number in (3, 4)
    ]


BATCH = RunBatch((make_job("task_1"), make_job("task_2"), make_job("task_3")))
IDS = ("task_1", "task_2", "task_3")


def test_a_batch_is_rendered_together_and_each_member_finished(server: Server) -> None:
    sizes: list[int] = []

    def together(attempts: Sequence[Attempt]) -> Sequence[Clip]:
        sizes.append(len(attempts))
        return [Clip() for _ in attempts]

    frames = _work(server, BATCH, together=together)

    assert sizes == [3]
    assert _of(frames, Rendered) == [Rendered(each, 1, REPORT) for each in IDS]
    assert _of(frames, Finished) == [Finished(each, 1, ()) for each in IDS]


def test_a_result_that_is_a_failure_is_its_own_members(server: Server) -> None:
    frames = _work(
        server, BATCH, together=lambda attempts: [Clip(), OutputInvalid("empty"), Clip()]
    )

    assert _of(frames, Failed) == [Failed("task_2", 1, "OUTPUT_INVALID", "empty")]
    assert _of(frames, Finished) == [Finished("task_1", 1, ()), Finished("task_3", 1, ())]


@pytest.mark.parametrize("error", [OutOfMemory("too large"), PipelineFailed("no"), KeyError("x")])
def test_members_of_a_failed_batch_are_run_one_by_one_and_only_the_guilty_one_fails(
    server: Server, error: Exception
) -> None:
    def render(attempt: Attempt) -> Clip:
        if attempt.job.task_id == "task_2":
            raise PipelineFailed("guilty")
        return Clip()

    frames = _work(server, BATCH, render=render, together=_raising(error))

    assert frames[:3] == [Stepped(each, 1, Progress(step=0, steps=0)) for each in IDS]
    assert _of(frames, Failed) == [Failed("task_2", 1, "PIPELINE_FAILED", "guilty")]
    assert _of(frames, Finished) == [Finished("task_1", 1, ()), Finished("task_3", 1, ())]


def test_a_lost_device_blames_no_member_of_a_batch(server: Server) -> None:
    with pytest.raises(DeviceLost):
        _work(server, BATCH, together=_raising(PipelineFailed("CUDA error: misaligned address")))

    assert _drain(server) == []


def test_a_cancelled_member_is_stopped_at_once_and_its_result_dropped(server: Server) -> None:
    worker: Worker[Clip] = Worker(ReplicaChannel(server.theirs), encode=lambda clip, job: ())
    entered, leave = threading.Event(), threading.Event()

    def together(attempts: Sequence[Attempt]) -> Sequence[Clip]:
        entered.set()
        assert leave.wait(10)
        attempts[1].report(Progress(step=1, steps=1))
        return [Clip() for _ in attempts]

    threads = _threads(worker, _raising(KeyError("alone")), together)
    server.send(BATCH)
    assert entered.wait(10)
    server.send(Cancel("task_2", 1))
    stopped = server.receive()
    leave.set()
    server.send(Shutdown())
    _end(worker, threads, server)

    frames = _drain(server)
    assert stopped == Stopped("task_2", 1)
    assert [each.task_id for each in _of(frames, Finished)] == ["task_1", "task_3"]
    assert len(frames) == 4


def test_the_last_member_that_is_cancelled_is_stopped_when_the_denoising_has(
    server: Server,
) -> None:
    worker: Worker[Clip] = Worker(ReplicaChannel(server.theirs), encode=lambda clip, job: ())
    entered = threading.Event()
    has_left: list[bool] = []

    def together(attempts: Sequence[Attempt]) -> Sequence[Clip]:
        entered.set()
        for attempt in attempts:
            assert attempt.cancelled.wait(10)
        has_left.append(True)
        raise TaskCancelled

    threads = _threads(worker, _raising(KeyError("alone")), together)
    server.send(BATCH)
    assert entered.wait(10)
    server.send(*(Cancel(each, 1) for each in IDS))
    stopped = [server.receive() for _ in IDS]
    told_after = list(has_left)
    server.send(Shutdown())
    _end(worker, threads, server)

    assert stopped == [Stopped(each, 1) for each in IDS]
    assert told_after == [True]
    assert _drain(server) == []


def test_a_member_cancelled_while_it_waits_to_be_run_alone_is_not_run(server: Server) -> None:
    worker: Worker[Clip] = Worker(ReplicaChannel(server.theirs), encode=lambda clip, job: ())
    entered, leave = threading.Event(), threading.Event()
    ran: list[str] = []

    def render(attempt: Attempt) -> Clip:
        ran.append(attempt.job.task_id)
        entered.set()
        assert leave.wait(10)
        return Clip()

    threads = _threads(worker, render, _raising(OutOfMemory("too large")))
    server.send(BATCH)
    assert entered.wait(10)
    server.send(Cancel("task_2", 1))
    told = [server.receive() for _ in range(4)]
    leave.set()
    server.send(Shutdown())
    _end(worker, threads, server)

    assert told[-1] == Stopped("task_2", 1)
    assert ran == ["task_1", "task_3"]
    assert [each.task_id for each in _of(_drain(server), Finished)] == ["task_1", "task_3"]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()
    server.theirs.close()


def _work(
    server: Server,
    *frames: FromServer,
    render: Callable[[Attempt], Clip] = lambda attempt: Clip(),
    encode: Callable[[Clip, Job], Sequence[OutputFile]] = lambda clip, job: (),
    together: Together | None = None,
) -> list[FromReplica]:
    """Lets a worker take these frames and end; returns what it has sent."""
    channel = ReplicaChannel(server.theirs)
    worker: Worker[Clip] = Worker(channel, encode=encode)
    server.send(*frames, Shutdown())
    server._socket.shutdown(socket.SHUT_WR)
    worker.listen()
    encoder = threading.Thread(target=worker.encode)
    encoder.start()
    try:
        worker.denoise(render, together or _never)
    finally:
        encoder.join()
        server.theirs.shutdown(socket.SHUT_WR)
        channel.close()
    return _drain(server)


def _drain(server: Server) -> list[FromReplica]:
    return list(iter(server.receive, None))


def _of(frames: Sequence[FromReplica], kind: type[F]) -> list[F]:
    return [each for each in frames if isinstance(each, kind)]


def _threads(
    worker: Worker[Clip],
    render: Callable[[Attempt], Clip],
    together: Together | None = None,
) -> list[threading.Thread]:
    threads = [
        threading.Thread(target=worker.listen),
        threading.Thread(target=worker.encode),
        threading.Thread(target=worker.denoise, args=(render, together or _never)),
    ]
    for thread in threads:
        thread.start()
    return threads


def _end(worker: Worker[Clip], threads: list[threading.Thread], server: Server) -> None:
    for thread in threads[1:]:
        thread.join()
    server._socket.shutdown(socket.SHUT_WR)
    threads[0].join()
    server.theirs.shutdown(socket.SHUT_WR)
    worker._channel.close()


def _never(attempts: Sequence[Attempt]) -> Sequence[Clip]:
    raise AssertionError("a job alone is no batch")


def _raising(error: Exception) -> Callable[[object], Any]:
    def render(attempt: object) -> Any:
        raise error

    return render
