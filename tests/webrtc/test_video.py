"""Pictures are shown one each period, none of a chunk is lost, and the last one stays."""

import asyncio

import pytest
from aiortc.mediastreams import MediaStreamError

from telefuser_grpc.webrtc.video import VideoTrack
from tests.webrtc.clock import FakeClock
from tests.webrtc.pictures import grey_frame, shade_of


def make_track(
    *, fps: float = 16, buffer_seconds: float = 1.0, patience_seconds: float = 0
) -> tuple[VideoTrack, FakeClock]:
    clock = FakeClock()
    track = VideoTrack(
        fps=fps, buffer_seconds=buffer_seconds, patience_seconds=patience_seconds, clock=clock
    )
    return track, clock


async def shades(track: VideoTrack, count: int) -> list[int]:
    return [shade_of(await track.recv()) for _ in range(count)]


async def test_timestamps_keep_the_rate() -> None:
    track, clock = make_track(fps=16)

    pts = [(await track.recv()).pts for _ in range(17)]

    assert pts == [5625 * number for number in range(17)]
    assert clock.time == pytest.approx(1.0)


async def test_all_pictures_of_a_chunk_that_fills_the_buffer_are_shown_in_order() -> None:
    track, _ = make_track(fps=16, buffer_seconds=1.0)
    greys = [10 * number for number in range(1, 17)]

    dropped = track.put([grey_frame(grey) for grey in greys])

    assert dropped == 0
    assert await shades(track, 16) == pytest.approx(greys, abs=2)


async def test_chunk_longer_than_the_buffer_is_kept_whole() -> None:
    track, _ = make_track(fps=16, buffer_seconds=0.25)
    greys = [10 * number for number in range(1, 13)]
    track.put([grey_frame(250)] * 4)

    dropped = track.put([grey_frame(grey) for grey in greys])

    assert dropped == 4
    assert await shades(track, 12) == pytest.approx(greys, abs=2)


async def test_oldest_pictures_are_dropped_where_more_come_than_wait() -> None:
    track, _ = make_track(fps=4, buffer_seconds=1.0)
    track.put([grey_frame(grey) for grey in (10, 20, 30)])

    dropped = track.put([grey_frame(grey) for grey in (40, 50)])

    assert dropped == 1
    assert await shades(track, 4) == pytest.approx([20, 30, 40, 50], abs=2)


async def test_last_picture_is_repeated() -> None:
    track, _ = make_track()
    track.put([grey_frame(100), grey_frame(200)])

    shown = await shades(track, 4)

    assert shown == pytest.approx([100, 200, 200, 200], abs=2)


async def test_black_is_shown_until_the_first_picture() -> None:
    track, _ = make_track()

    before = await track.recv()
    track.put([grey_frame(100)])
    after = await track.recv()

    assert (before.width, before.height, shade_of(before)) == (640, 360, 0)
    assert shade_of(after) == pytest.approx(100, abs=2)


async def test_patient_track_begins_with_the_first_picture() -> None:
    track, clock = make_track(patience_seconds=10)
    asyncio.get_running_loop().call_soon(track.put, [grey_frame(100)])

    first = await track.recv()

    assert (shade_of(first), first.pts) == (pytest.approx(100, abs=2), 0)
    assert clock.time == 0


async def test_patience_ends_with_black() -> None:
    track, clock = make_track(patience_seconds=10)

    first = await track.recv()
    begun = (first.width, first.pts, clock.time)
    await track.recv()

    assert begun == (640, 0, 10)
    assert clock.time == pytest.approx(10 + 1 / 16)


async def test_size_may_change() -> None:
    track, _ = make_track()
    track.put([grey_frame(100), grey_frame(100, width=32, height=64)])

    sizes = [(frame.width, frame.height) for frame in [await track.recv(), await track.recv()]]

    assert sizes == [(64, 36), (32, 64)]


async def test_room_comes_as_pictures_are_shown() -> None:
    track, _ = make_track(fps=4)
    track.put([grey_frame(100)] * 3)

    waiting = asyncio.create_task(track.room_for(2))
    await asyncio.sleep(0)
    before = waiting.done()
    await track.recv()
    await waiting

    assert not before
    assert track.put([grey_frame(100)] * 2) == 0


async def test_stop_ends_every_wait() -> None:
    track, _ = make_track(fps=4)
    track.put([grey_frame(100)] * 4)
    waiting = asyncio.create_task(track.room_for(1))
    await asyncio.sleep(0)

    track.stop()

    await waiting
    with pytest.raises(MediaStreamError):
        await track.recv()
