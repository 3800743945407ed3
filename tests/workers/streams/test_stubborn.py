"""A pipeline that blocks holds up its own session, and nothing else."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from telefuser_grpc.workers.streams.host import LocalStreamHost
from telefuser_grpc.workers.streams.messages import PUSH_WINDOW
from tests.workers.streams.hosts import pipe, release, stream_host

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stubborn() -> AsyncIterator[LocalStreamHost]:
    async with stream_host("stubborn") as host:
        await host.until_ready()
        yield host


async def test_a_push_that_blocks_holds_up_its_own_session_alone(
    stubborn: LocalStreamHost, tmp_path: Path
) -> None:
    wait = pipe(tmp_path)
    for each in ("blocked", "other"):
        await stubborn.create({"session_id": each})
    await stubborn.push("blocked", {"wait": str(wait)})
    for number in range(PUSH_WINDOW - 1):
        await stubborn.push("blocked", {"number": number})
    late = asyncio.create_task(stubborn.push("blocked", {"number": "late"}))

    async with aclosing(stubborn.pull("other")) as chunks:
        await stubborn.push("other", {"number": 1})
        assert (await anext(chunks)).data["told"] == {"number": 1}
        assert not late.done()
    await release(wait)
    await late
    async with aclosing(stubborn.pull("blocked")) as chunks:
        told = [(await anext(chunks)).data["told"] for _ in range(PUSH_WINDOW + 1)]

    assert [each.get("number") for each in told] == [None, *range(PUSH_WINDOW - 1), "late"]
    await asyncio.gather(stubborn.close("blocked"), stubborn.close("other"))


async def test_a_session_closes_whatever_blocks_in_it(
    stubborn: LocalStreamHost, tmp_path: Path
) -> None:
    wait = pipe(tmp_path)
    await stubborn.create({"session_id": "one"})
    await stubborn.push("one", {"wait": str(wait)})
    waiting = asyncio.create_task(anext(stubborn.pull("one"), None))
    writer = await asyncio.to_thread(os.open, wait, os.O_WRONLY)  # the push waits now

    await stubborn.close("one")

    assert await waiting is None
    assert await stubborn.create({"session_id": "one"}) == "one"
    os.close(writer)
    await stubborn.close("one")
