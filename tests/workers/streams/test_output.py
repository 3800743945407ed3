"""Whatever a service returns for chunks is asked for them one by one, and its end is told once."""

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from telefuser_grpc.pipeline.stream_loop import StreamLoop
from telefuser_grpc.workers.streams.messages import CHUNK_WINDOW, Ended, Made
from telefuser_grpc.workers.streams.output import Output

FEW = [{"type": "chunk", "number": number} for number in range(3)]


class Sent:
    """Stands for the channel, and keeps what is sent."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self._changed = threading.Condition()

    def send(self, frame: Any) -> None:
        with self._changed:
            self.frames.append(frame)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.frames) >= count, timeout=10)

    @property
    def end(self) -> Ended:
        return self.frames[-1]


class Bare:
    """Is asynchronous, and nothing more."""

    def __init__(self) -> None:
        self._chunks = iter(FEW)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._chunks)
        except StopIteration:
            raise StopAsyncIteration from None


async def _generate() -> AsyncGenerator[Any, None]:
    for chunk in FEW:
        yield chunk


async def _later() -> Any:
    return _generate()


async def _leave() -> AsyncGenerator[Any, None]:
    yield FEW[0]
    sys.exit("enough")


@pytest.mark.parametrize("begin", [_generate, _later, Bare, lambda: FEW, lambda: iter(FEW)])
def test_chunks_come_from_anything_that_can_be_walked(begin: Any) -> None:
    sent = _run(begin)

    assert [type(frame) for frame in sent.frames] == [Made, Made, Made, Ended]
    assert sent.end.error == ""


@pytest.mark.parametrize(
    ("begin", "error"),
    [
        (lambda: None, "The service must yield chunks; it returned NoneType"),
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: [1], "A chunk must be a dict with a type, not int"),
        (_leave, "SystemExit: enough"),
    ],
)
def test_what_yields_no_chunks_is_told(begin: Any, error: str) -> None:
    assert _run(begin).end.error == error


def test_a_chunk_is_made_when_there_is_room_for_it() -> None:
    asked = []

    async def generate() -> AsyncGenerator[Any, None]:
        for number in range(CHUNK_WINDOW + 1):
            asked.append(number)
            yield FEW[0]

    with _output() as (output, sent):
        output.begin(generate, lambda: None)
        sent.wait_for(CHUNK_WINDOW)
        assert len(asked) == CHUNK_WINDOW

        output.taken()

        sent.wait_for(CHUNK_WINDOW + 1)
        assert len(asked) == CHUNK_WINDOW + 1


def test_a_stop_closes_the_generator_and_tells_no_error() -> None:
    closed = threading.Event()

    async def generate() -> AsyncGenerator[Any, None]:
        try:
            yield FEW[0]
            await asyncio.Event().wait()
        finally:
            closed.set()

    with _output() as (output, sent):
        output.begin(generate, lambda: None)
        sent.wait_for(1)

        output.stop(after_seconds=0)

        assert closed.wait(10)
        sent.wait_for(2)
        assert sent.end == Ended(1)


def test_a_stop_waits_for_a_chunk_that_is_being_made() -> None:
    begun, reached = threading.Event(), threading.Event()
    may_end = threading.Event()

    async def generate() -> AsyncGenerator[Any, None]:
        begun.set()
        await asyncio.to_thread(may_end.wait)
        reached.set()
        yield FEW[0]

    with _output() as (output, sent):
        output.begin(generate, lambda: None)
        assert begun.wait(10)

        output.stop(after_seconds=30)
        may_end.set()

        sent.wait_for(1)
        assert reached.is_set()
        assert sent.frames == [Ended(1)]


def _run(begin: Any) -> Sent:
    over = threading.Event()
    with _output() as (output, sent):
        output.begin(begin, over.set)
        assert over.wait(10)
    return sent


@contextmanager
def _output() -> Iterator[tuple[Output, Sent]]:
    loop, sent = StreamLoop("test"), Sent()
    try:
        yield Output(1, sent, loop), sent
    finally:
        loop.close()
