"""The ring of keys, and streams that end with one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from telefuser_grpc.domain.api_key import read_list
from telefuser_grpc.errors import Unauthenticated
from telefuser_grpc.server.keys import Caller, KeyRing

KEY, NEW = "sk-0123456789abcdef", "sk-fedcba9876543210"


async def _numbers() -> AsyncIterator[int]:
    yield 1
    yield 2


async def _never() -> AsyncIterator[int]:
    await asyncio.Event().wait()
    yield 0


def _caller(ring: KeyRing, key: str) -> Caller:
    return ring.by_key({"x-api-key": key})


def test_replaced_keys_are_the_only_ones_that_hold() -> None:
    ring = KeyRing(read_list(f"studio:{KEY}"))

    ring.replace(read_list(f"studio:{NEW}"))

    assert _caller(ring, NEW).name == "studio"
    with pytest.raises(Unauthenticated, match="not valid"):
        _caller(ring, KEY)


def test_digest_lets_in_who_has_the_key() -> None:
    (plain,) = read_list(f"studio:{KEY}")
    ring = KeyRing(read_list(f"studio:sha256:{plain.digest}"))

    assert _caller(ring, KEY) == Caller("studio", plain.id)


async def test_open_stream_yields_to_its_end() -> None:
    ring = KeyRing(read_list(KEY))
    numbers = _numbers()

    with ring.opened(_caller(ring, KEY)) as stream:
        received = [await stream.next(numbers) for _ in range(3)]

    assert received == [1, 2, None]


async def test_revoked_stream_sends_nothing_more() -> None:
    ring = KeyRing(read_list(KEY))
    numbers = _numbers()

    with ring.opened(_caller(ring, KEY)) as stream:
        await stream.next(numbers)
        ring.replace(read_list(NEW))
        with pytest.raises(Unauthenticated, match="revoked"):
            await stream.next(numbers)


async def test_caller_who_leaves_as_the_key_is_revoked_has_left() -> None:
    ring = KeyRing(read_list(KEY))

    async def follow() -> None:
        with ring.opened(_caller(ring, KEY)) as stream:
            await stream.next(_never())

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    ring.replace(read_list(NEW))
    following.cancel()

    with pytest.raises(asyncio.CancelledError):
        await following


async def test_key_that_stays_keeps_its_streams() -> None:
    ring = KeyRing(read_list(KEY))
    numbers = _numbers()

    with ring.opened(_caller(ring, KEY)) as stream:
        ring.replace(read_list(f"{KEY},{NEW}"))

        assert await stream.next(numbers) == 1


def test_those_who_ask_are_told_which_keys_are_gone() -> None:
    ring, told = KeyRing(read_list(f"studio:{KEY},lab:{NEW}")), []
    ring.on_revoked(told.append)
    gone = _caller(ring, KEY).key_id

    ring.replace(read_list(f"lab:{NEW}"))
    ring.replace(read_list(f"lab:{NEW},studio:{KEY}"))

    assert told == [{gone}]
