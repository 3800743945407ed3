"""Sound is played in pieces of 20 ms, and silence where there has been none for long."""

import asyncio

import pytest
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from telefuser_grpc.webrtc.audio import PIECE_BYTES, AudioTrack
from tests.webrtc.clock import FakeClock

SILENCE = bytes(PIECE_BYTES)


def tone(value: int, pieces: float = 1) -> bytes:
    return bytes([value]) * round(PIECE_BYTES * pieces)


def pcm_of(frame: AudioFrame) -> bytes:
    return bytes(frame.planes[0])[:PIECE_BYTES]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def track(clock: FakeClock) -> AudioTrack:
    return AudioTrack(clock=clock)


async def test_pieces_are_mono_of_20_ms_at_48_khz(track: AudioTrack, clock: FakeClock) -> None:
    track.put(tone(1, pieces=3))

    frames = [await track.recv() for _ in range(3)]

    assert [frame.pts for frame in frames] == [0, 960, 1920]
    assert {(f.samples, f.sample_rate, f.layout.name) for f in frames} == {(960, 48_000, "mono")}
    assert clock.time == pytest.approx(0.04)


async def test_pieces_are_cut_across_what_was_put(track: AudioTrack) -> None:
    track.put(tone(1, pieces=1.5))
    track.put(tone(2, pieces=1.5))

    pieces = [pcm_of(await track.recv()) for _ in range(3)]

    assert pieces == [tone(1), tone(1, 0.5) + tone(2, 0.5), tone(2)]


async def test_silence_comes_after_two_seconds(track: AudioTrack, clock: FakeClock) -> None:
    track.put(tone(1))
    await track.recv()

    first = await track.recv()
    waited = clock.time
    second = await track.recv()

    assert (pcm_of(first), pcm_of(second)) == (SILENCE, SILENCE)
    assert waited == pytest.approx(2.0)
    assert (first.pts, second.pts) == (2 * 48_000, 2 * 48_000 + 960)


async def test_half_a_piece_is_filled_up_when_nothing_follows(track: AudioTrack) -> None:
    track.put(tone(1, pieces=0.5))

    piece = pcm_of(await track.recv())

    assert piece == tone(1, 0.5) + bytes(PIECE_BYTES // 2)


async def test_sound_that_comes_is_played_without_waiting_on(
    track: AudioTrack, clock: FakeClock
) -> None:
    asyncio.get_running_loop().call_soon(track.put, tone(1))

    piece = await track.recv()

    assert pcm_of(piece) == tone(1)
    assert clock.time == 0


async def test_sound_after_silence_is_played_at_its_time(
    track: AudioTrack, clock: FakeClock
) -> None:
    await track.recv()
    await track.recv()
    clock.time += 1
    track.put(tone(1))

    piece = await track.recv()

    assert pcm_of(piece) == tone(1)
    assert piece.pts == pytest.approx(48_000, abs=960 * 3)


async def test_of_more_than_200_the_oldest_are_dropped(track: AudioTrack) -> None:
    for value in range(201):
        track.put(tone(value))

    piece = pcm_of(await track.recv())

    assert piece == tone(1)


async def test_skipping_drops_as_much_as_is_said(track: AudioTrack) -> None:
    for value in range(5):
        track.put(tone(value))

    track.skip(0.05)
    piece = pcm_of(await track.recv())

    assert piece == tone(2, 0.5) + tone(3, 0.5)


async def test_stop_ends_the_wait(track: AudioTrack) -> None:
    receiving = asyncio.create_task(track.recv())
    await asyncio.sleep(0)

    track.stop()

    with pytest.raises(MediaStreamError):
        await receiving
