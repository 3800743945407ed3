"""A session on the server's side holds the process to its window, and survives its frames."""

import asyncio
from typing import Any

import pytest

from telefuser_grpc.domain.session import Chunk
from telefuser_grpc.errors import SessionFailed, SessionRejected
from telefuser_grpc.workers.channel import FRAME_LIMIT_BYTES, ProtocolError
from telefuser_grpc.workers.streams.messages import (
    CHUNK_WINDOW,
    PUSH_WINDOW,
    Close,
    Closed,
    Create,
    Created,
    Ended,
    Heard,
    Made,
    Pull,
    Push,
    Taken,
    Told,
)
from telefuser_grpc.workers.streams.session import NOTICES, LocalSession
from tests.workers.streams.hosts import collect

MADE = Made(1, 0, None, None, b'{"type": "chunk"}')
CHUNK = Chunk(data={"type": "chunk"})
DIED = SessionFailed("The stream process died")


class Link:
    """Stands for the process, and keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.is_over = False
        self.session = LocalSession(1, send=self._send, on_over=self._end)

    def _send(self, frame: Any) -> None:
        if isinstance(frame, Push) and len(frame.data or b"") > FRAME_LIMIT_BYTES:
            raise ProtocolError("too large")
        self.sent.append(frame)

    def _end(self) -> None:
        assert not self.is_over
        self.is_over = True


async def test_a_chunk_is_reported_taken_when_the_next_one_is_asked_for() -> None:
    link = Link()
    for _ in range(2):
        link.session.take(MADE)
    chunks = link.session.pull()

    assert await anext(chunks) == CHUNK
    assert link.sent == [Pull(1)]
    assert await anext(chunks) == CHUNK
    assert link.sent == [Pull(1), Taken(1)]
    await chunks.aclose()


async def test_what_was_made_before_a_death_is_yielded_before_the_error() -> None:
    link = Link()
    link.session.take(MADE)
    link.session.end(DIED)
    chunks = link.session.pull()

    assert await anext(chunks) == CHUNK
    with pytest.raises(SessionFailed, match="died"):
        await anext(chunks)
    assert link.is_over


async def test_what_was_made_is_not_yielded_after_a_close() -> None:
    link = Link()
    link.session.take(MADE)
    closing = asyncio.create_task(link.session.close())
    await asyncio.sleep(0)

    assert await collect(link.session.pull()) == []
    assert link.sent == [Close(1)]
    link.session.take(Closed(1))
    await closing
    link.session.leave()
    assert link.sent == [Close(1)]


async def test_notices_take_no_room_and_are_few() -> None:
    link = Link()
    for _ in range(100):
        link.session.take(Told(1, b'{"type": "error"}'))
    link.session.take(Ended(1))

    notices = await collect(link.session.pull())

    assert notices == [Chunk(index=-1, data={"type": "error"})] * (CHUNK_WINDOW + NOTICES)
    assert link.sent == [Pull(1)]


async def test_pushes_wait_until_earlier_ones_are_heard() -> None:
    link = Link()
    pushing = [
        asyncio.create_task(link.session.push({"n": number})) for number in range(PUSH_WINDOW + 2)
    ]
    await asyncio.wait(pushing[:PUSH_WINDOW])
    assert len(link.sent) == PUSH_WINDOW

    link.session.take(Heard(1))
    await pushing[PUSH_WINDOW]
    assert link.sent[-1] == Push(1, json=b'{"n":8}')

    link.session.end(DIED)
    await pushing[-1]
    assert len(link.sent) == PUSH_WINDOW + 1


async def test_a_message_that_is_too_large_fails() -> None:
    link = Link()

    with pytest.raises(SessionFailed, match="too large"):
        await link.session.push(bytes(FRAME_LIMIT_BYTES + 1))
    with pytest.raises(SessionFailed, match="no JSON"):
        await link.session.push({"text": "\udcff"})

    assert link.sent == []


async def test_a_configuration_that_is_no_json_is_rejected() -> None:
    link = Link()
    deep: dict[str, Any] = {}
    for _ in range(2000):
        deep = {"deep": deep}

    with pytest.raises(SessionRejected, match="too large, or no JSON"):
        await link.session.create(deep)

    assert link.is_over
    assert link.sent == []


async def test_a_creation_that_is_given_up_is_closed() -> None:
    link = Link()
    creating = asyncio.create_task(link.session.create({}))
    await asyncio.sleep(0)

    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating

    assert link.sent == [Create(1, b"{}"), Close(1)]
    link.session.take(Created(1, "one"))
    link.session.take(Closed(1))
    assert link.is_over


@pytest.mark.parametrize("frame", [Created(1, "two"), Told(1, b"[]"), Made(1, 0, None, None, b"{")])
async def test_frames_that_make_no_sense_break_the_protocol(frame: Any) -> None:
    link = Link()
    link.session.take(Created(1, "one"))

    with pytest.raises(ProtocolError):
        link.session.take(frame)
