"""A worker tells the server exactly once how each job has ended."""

import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import pytest

from telefuser_grpc.domain.artifact import OutputFile
from telefuser_grpc.domain.job import Job, RunReport
from telefuser_grpc.domain.task import Progress
from telefuser_grpc.errors import OutOfMemory, OutputInvalid, PipelineFailed, TaskCancelled
from telefuser_grpc.workers.attempt import Attempt
from telefuser_grpc.workers.channel import ReplicaChannel, _pack
from telefuser_grpc.workers.messages import (
    Cancel,
    Failed,
    Finished,
    FromReplica,
    FromServer,
    Rendered,
    RunJob,
    Shutdown,
    Stepped,
    Stopped,
)
from telefuser_grpc.workers.worker import DeviceLost, Worker
from tests.workers.local_pool import make_job

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


@pytest.mark.parametrize("sign", ["CUDA error: unspecified launch failure", "device-side assert"])
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
    _end(threads, server)
    assert [each for each in _drain(server) if isinstance(each, Rendered)] == [
        Rendered(str(number), 1, REPORT) for number in (3, 4)
    ]


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
        worker.denoise(render)
    finally:
        encoder.join()
        server.theirs.shutdown(socket.SHUT_WR)
        channel.close()
    return _drain(server)


def _drain(server: Server) -> list[FromReplica]:
    return list(iter(server.receive, None))


def _threads(worker: Worker[Clip], render: Callable[[Attempt], Clip]) -> list[threading.Thread]:
    threads = [
        threading.Thread(target=worker.listen),
        threading.Thread(target=worker.encode),
        threading.Thread(target=worker.denoise, args=(render,)),
    ]
    for thread in threads:
        thread.start()
    return threads


def _end(threads: list[threading.Thread], server: Server) -> None:
    for thread in threads[1:]:
        thread.join()
    server._socket.shutdown(socket.SHUT_WR)
    threads[0].join()
    server.theirs.shutdown(socket.SHUT_WR)


def _raising(error: Exception) -> Callable[[Attempt], Clip]:
    def render(attempt: Attempt) -> Clip:
        raise error

    return render
