"""Ticks keep to the clock."""

import asyncio

from telefuser_grpc.webrtc.pacing import MonotonicClock, Pacer
from tests.webrtc.clock import FakeClock


async def test_first_tick_comes_at_once_and_the_others_with_the_rate() -> None:
    clock = FakeClock()
    pacer = Pacer(rate=4, slack_seconds=0.25, clock=clock)

    numbers = [await pacer.tick() for _ in range(5)]

    assert numbers == [0, 1, 2, 3, 4]
    assert clock.time == 1.0


async def test_small_delay_is_caught_up() -> None:
    clock = FakeClock()
    pacer = Pacer(rate=4, slack_seconds=0.25, clock=clock)
    await pacer.tick()

    clock.time = 0.45
    numbers = [await pacer.tick(), await pacer.tick()]

    assert numbers == [1, 2]
    assert clock.time == 0.5


async def test_periods_that_have_passed_are_left_out() -> None:
    clock = FakeClock()
    pacer = Pacer(rate=4, slack_seconds=0.25, clock=clock)
    await pacer.tick()

    clock.time = 10.1
    numbers = [await pacer.tick(), await pacer.tick()]

    assert numbers == [40, 41]
    assert clock.time == 10.25


async def test_wait_of_the_machines_clock_ends_with_the_event() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)

    await MonotonicClock().wait(event, 100)

    assert event.is_set()


async def test_wait_of_the_machines_clock_ends_with_the_time() -> None:
    clock = MonotonicClock()
    start = clock.now()

    await clock.wait(asyncio.Event(), 0.02)

    assert clock.now() - start > 0.01
