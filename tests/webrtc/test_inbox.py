"""Words of the client come in order, media when there is time, and the end after the words."""

import asyncio

import pytest
from structlog.testing import capture_logs

from telefuser_grpc.domain.session import ClientMedia, CloseCause
from telefuser_grpc.scheduler.stream_ports import PeerGone
from telefuser_grpc.webrtc.inbox import MEDIA, MEDIA_BYTES, WORDS, Inbox
from tests.webrtc.pictures import grey


def media(shade: int) -> ClientMedia:
    return ClientMedia(pictures=(grey(shade),))


async def test_words_come_in_order_and_before_media() -> None:
    inbox = Inbox()
    inbox.put_media(media(1))
    inbox.put({"a": 1})
    inbox.put(b"2")

    heard = [await inbox.get() for _ in range(3)]

    assert heard == [{"a": 1}, b"2", media(1)]


async def test_get_waits_for_what_comes() -> None:
    inbox = Inbox()
    getting = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)

    inbox.put({"a": 1})

    assert await getting == {"a": 1}


async def test_stop_comes_after_the_words_and_stays() -> None:
    inbox = Inbox()
    inbox.put({"a": 1})
    inbox.stop()
    inbox.leave(CloseCause.CONNECTION)

    assert [await inbox.get() for _ in range(3)] == [{"a": 1}, None, None]


async def test_first_cause_of_leaving_counts() -> None:
    inbox = Inbox()
    getting = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)

    inbox.leave(CloseCause.CLIENT)
    inbox.leave(CloseCause.CONNECTION)

    with pytest.raises(PeerGone) as gone:
        await getting
    assert gone.value.cause is CloseCause.CLIENT


async def test_oldest_media_are_dropped_where_nobody_takes_them() -> None:
    inbox = Inbox()
    for shade in range(MEDIA + 1):
        inbox.put_media(media(shade))

    assert await inbox.get() == media(1)


async def test_words_beyond_all_measure_are_dropped() -> None:
    inbox = Inbox()
    for number in range(WORDS + 1):
        inbox.put({"number": number})
    inbox.stop()

    heard = [await inbox.get() for _ in range(WORDS + 1)]

    assert heard[-2:] == [{"number": WORDS - 1}, None]


async def test_pictures_that_wait_take_no_more_room_than_there_is() -> None:
    inbox = Inbox()
    large = ClientMedia(pictures=(grey(0, width=4096, height=2048),))
    for _ in range(4):
        inbox.put_media(large)
    inbox.leave(CloseCause.CLIENT)

    assert sum(len(each.pictures[0].rgb) for each in inbox._media) <= MEDIA_BYTES
    assert inbox._media


def test_log_tells_once_of_messages_that_are_dropped_in_a_row() -> None:
    inbox = Inbox()
    with capture_logs() as logs:
        for number in range(WORDS + 9):
            inbox.put({"number": number})

    assert [each["event"] for each in logs] == ["message dropped"]
