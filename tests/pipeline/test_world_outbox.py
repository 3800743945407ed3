"""A slow client loses what is old, never the end."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from telefuser_grpc.pipeline.world_outbox import Outbox

DONE = {"type": "done"}


def status(stage: str, number: int = 0) -> Mapping[str, Any]:
    return {"type": "status", "stage": stage, "number": number}


def chunk(number: int) -> Mapping[str, Any]:
    return {"type": "chunk", "number": number}


async def waiting(outbox: Outbox) -> list[Any]:
    outbox.close(DONE)
    return [each.get("number", each["type"]) async for each in outbox.read()]


async def test_messages_come_in_their_order() -> None:
    outbox = Outbox()
    for message in (status("a", 1), chunk(2), status("b", 3)):
        outbox.put(message)

    assert await waiting(outbox) == [1, 2, 3, "done"]
    assert (outbox.dropped_videos, outbox.dropped_statuses, outbox.high_watermark) == (0, 0, 3)


async def test_new_picture_takes_the_place_of_the_oldest() -> None:
    outbox = Outbox(4)
    for message in (chunk(1), status("a", 2), chunk(3), status("b", 4), chunk(5)):
        outbox.put(message)

    assert await waiting(outbox) == [2, 3, 4, 5, "done"]
    assert outbox.dropped_videos == 1


async def test_new_picture_comes_in_where_only_statuses_wait() -> None:
    outbox = Outbox(2)
    for message in (status("a", 1), status("b", 2), {"type": "preview", "number": 3}):
        outbox.put(message)

    assert await waiting(outbox) == [1, 2, 3, "done"]


async def test_burst_of_statuses_drops_none_of_them_and_no_picture() -> None:
    outbox = Outbox(2)
    for message in (chunk(1), *(status("a", number) for number in range(2, 9))):
        outbox.put(message)

    assert await waiting(outbox) == [*range(1, 9), "done"]


async def test_new_status_takes_the_place_of_one_of_its_stage() -> None:
    outbox = Outbox(most=4)
    for message in (status("a", 1), chunk(2), status("b", 3), status("b", 4), status("b", 5)):
        outbox.put(message)

    assert await waiting(outbox) == [1, 2, 4, 5, "done"]
    assert outbox.dropped_statuses == 1


async def test_new_status_drops_another_one_rather_than_a_picture() -> None:
    outbox = Outbox(most=3)
    for message in (chunk(1), status("a", 2), chunk(3), status("b", 4)):
        outbox.put(message)

    assert await waiting(outbox) == [1, 3, 4, "done"]


async def test_error_and_end_always_get_in_and_drop_nothing() -> None:
    outbox = Outbox(2, 2)
    for message in (chunk(1), chunk(2), {"type": "error"}):
        outbox.put(message)

    assert await waiting(outbox) == [1, 2, "error", "done"]


async def test_nothing_comes_after_the_end() -> None:
    outbox = Outbox()
    outbox.close(DONE)

    outbox.put(chunk(1))

    assert [each async for each in outbox.read()] == [DONE]


async def test_reader_is_woken_from_another_thread() -> None:
    outbox = Outbox()
    reading = asyncio.create_task(anext(outbox.read()))
    await asyncio.sleep(0)

    threading.Thread(target=outbox.put, args=(chunk(1),)).start()

    assert await reading == chunk(1)


async def test_messages_are_read_once() -> None:
    outbox = Outbox()
    outbox.close(DONE)
    assert [each async for each in outbox.read()] == [DONE]

    with pytest.raises(ValueError, match="read already"):
        await anext(outbox.read())


def test_message_for_a_reader_whose_loop_is_closed_is_kept() -> None:
    outbox = Outbox()
    outbox.put(chunk(1))
    asyncio.run(_read_one(outbox))

    outbox.put(chunk(2))

    assert outbox.dropped_videos == 0


async def _read_one(outbox: Outbox) -> None:
    messages = outbox.read()
    await anext(messages)
    await messages.aclose()
