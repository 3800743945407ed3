"""A peer and a client that is real, over sockets of this machine."""

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from telefuser_grpc.domain.session import Chunk, ClientMedia, CloseCause, Sound
from telefuser_grpc.scheduler.stream_ports import PeerGone
from telefuser_grpc.webrtc.channel import LONGEST
from telefuser_grpc.webrtc.negotiator import Negotiator
from telefuser_grpc.webrtc.options import WebRtcOptions
from tests.fakes.open_files import open_files
from tests.fakes.webrtc_client import webrtc_client
from tests.webrtc.dialling import BIDIRECTIONAL, SERVER_PUSH, Line, dialled
from tests.webrtc.pictures import grey, grey_frame, shade_of


def chunk(*shades: int, **facts: Any) -> Chunk:
    return Chunk(pictures=tuple(grey(shade) for shade in shades), **facts)


async def gone(line: Line) -> CloseCause:
    try:
        while True:
            await line.peer.receive()
    except PeerGone as gone:
        return gone.cause


async def test_chunk_is_seen_whole_and_told() -> None:
    shades = [40 + 10 * number for number in range(16)]
    async with dialled(fps=16) as line:
        await line.stands()

        await line.peer.send(chunk(*shades, index=3, data={"type": "chunk", "a": [1, None]}))
        told = await line.client.hear()
        frames = await line.client.sees(20)

    seen = [shade_of(frame) for frame in frames if frame.width == 64]
    assert seen[:16] == pytest.approx(shades, abs=6)
    assert isinstance(told, dict)
    stamp = told.pop("timestamp")
    assert stamp == pytest.approx(time.time(), abs=60)
    assert isinstance(stamp, float)
    assert list(told.items()) == [
        ("type", "chunk"),
        ("session_id", "s"),
        ("index", 3),
        ("data", {"type": "chunk", "a": [1, None]}),
        ("error", None),
    ]


async def test_last_picture_stays_after_the_end_and_so_does_the_session() -> None:
    async with dialled() as line:
        await line.stands()
        await line.peer.send(chunk(200))

        await line.peer.finish(1, None)
        told = [await line.client.hear(), await line.client.hear()]
        seen = len(line.client.pictures)
        frames = await line.client.sees(seen + 10)
        line.client.say({"type": "control"})
        heard = await line.peer.receive()

    assert [each["type"] for each in told] == ["chunk", "done"]
    assert told[1] == {
        "type": "done",
        "session_id": "s",
        "total_chunks": 1,
        "timestamp": told[1]["timestamp"],
    }
    assert shade_of(frames[-1]) == pytest.approx(200, abs=6)
    assert heard == {"type": "control"}


async def test_error_is_told_before_the_end() -> None:
    async with dialled() as line:
        await line.stands()

        await line.peer.finish(2, "it broke")
        told = [await line.client.hear(), await line.client.hear()]

    assert [(each["type"], each.get("error"), each.get("data")) for each in told] == [
        ("chunk", "it broke", {}),
        ("done", None, None),
    ]


async def test_last_words_arrive_before_the_end_of_the_connection() -> None:
    async with dialled() as line:
        await line.stands()

        for index in range(20):
            await line.peer.send(Chunk(index=index, data={"text": "x" * 5_000}))
        await line.peer.finish(20, "it broke")
        await line.peer.close()
        told = [await line.client.hear() for _ in range(23)]

    assert [each["type"] for each in told if each] == ["chunk"] * 21 + ["done"]
    assert told[-1] is None


async def test_client_is_heard_until_it_says_stop() -> None:
    async with dialled() as line:
        await line.stands()
        line.client.connection.sctp._remote_max_message_size = 0  # it heeds no limit

        for said in (
            {"type": "control_state", "controls": ["w"]},
            b"\x00\xff",
            "no json",
            "[1]",
            '{"a": NaN}',
            "[" * 60_000,
            "",
            b"0" * (LONGEST + 1),
            {"type": "x"},
            {"type": "stop"},
            {"type": "late"},
        ):
            line.client.say(said)
        heard = [await line.peer.receive() for _ in range(4)]

    assert heard == [
        {"type": "control_state", "controls": ["w"]},
        b"\x00\xff",
        {"type": "x"},
        None,
    ]


async def test_client_that_opens_no_channel_is_let_go() -> None:
    options = WebRtcOptions(data_channel_timeout_seconds=0.3)
    async with dialled(BIDIRECTIONAL, options, label=None) as line:
        with pytest.raises(PeerGone) as caught:
            await line.peer.opened()

    assert caught.value.cause is CloseCause.DATA_CHANNEL_TIMEOUT


async def test_channel_of_another_label_is_closed_and_does_not_count() -> None:
    options = WebRtcOptions(data_channel_timeout_seconds=1)
    async with dialled(BIDIRECTIONAL, options, label="other") as line:
        closed = asyncio.Event()
        assert line.client.channel
        line.client.channel.on("close", closed.set)

        with pytest.raises(PeerGone):
            await line.peer.opened()
        await closed.wait()


async def test_second_channel_is_closed_and_the_first_stays() -> None:
    async with dialled() as line:
        await line.stands()
        closed = asyncio.Event()

        line.client.connection.createDataChannel("telefuser").on("close", closed.set)
        await closed.wait()
        line.client.say({"a": 1})

        assert await line.peer.receive() == {"a": 1}


async def test_channel_that_the_client_closes_ends_the_session() -> None:
    async with dialled() as line:
        await line.stands()
        assert line.client.channel

        line.client.channel.close()

        assert await gone(line) is CloseCause.CLIENT
        with pytest.raises(PeerGone):
            await line.peer.send(chunk(1))


@pytest.mark.parametrize("mode", [BIDIRECTIONAL, SERVER_PUSH])
async def test_client_that_goes_ends_the_session(mode: Any) -> None:
    async with dialled(mode) as line:
        await line.stands()

        await line.client.close()

        assert await gone(line) in (CloseCause.CLIENT, CloseCause.CONNECTION)


async def test_connection_that_does_not_come_back_ends_the_session_after_the_grace() -> None:
    async with dialled(BIDIRECTIONAL, WebRtcOptions(disconnected_grace_seconds=0.05)) as line:
        await line.stands()

        line.peer._link.changed("disconnected")

        assert await gone(line) is CloseCause.CONNECTION


async def test_lost_connection_ends_a_push_at_once() -> None:
    async with dialled(SERVER_PUSH, WebRtcOptions(disconnected_grace_seconds=100)) as line:
        await line.stands()

        line.peer._link.changed("disconnected")

        assert await gone(line) is CloseCause.CONNECTION


async def test_push_begins_with_its_first_picture_and_needs_no_channel() -> None:
    async with dialled(SERVER_PUSH, label=None) as line:
        await line.stands()

        await line.peer.send(chunk(200, data={"nobody": "hears"}))
        frames = await line.client.sees(3)
        await line.peer.finish(1, "nor this")

    assert [frame.width for frame in frames] == [64, 64, 64]


async def test_push_tells_what_there_is_to_tell() -> None:
    async with dialled(SERVER_PUSH) as line:
        await line.stands()
        await asyncio.wait_for(until_channel(line), 10)

        await line.peer.send(chunk(1))
        await line.peer.send(chunk(1, index=7, data={"a": 1}))
        told = await line.client.hear()

    assert isinstance(told, dict)
    assert (told["index"], told["data"]) == (7, {"a": 1})


async def until_channel(line: Line) -> None:
    line.client.say({"type": "hello"})
    assert await line.peer.receive() == {"type": "hello"}


async def test_push_loses_no_picture_of_a_pipeline_that_is_too_fast() -> None:
    shades = [60 + 10 * number for number in range(12)]
    async with dialled(SERVER_PUSH, WebRtcOptions(buffer_seconds=0.1), fps=20) as line:
        await line.stands()

        for shade in range(0, 12, 4):
            await line.peer.send(chunk(*shades[shade : shade + 4]))
        frames = await line.client.sees(12)

    assert [shade_of(frame) for frame in frames[:12]] == pytest.approx(shades, abs=6)


async def test_pipeline_that_waits_for_room_is_released_when_the_client_goes() -> None:
    async with dialled(SERVER_PUSH, WebRtcOptions(buffer_seconds=100), fps=20) as line:
        await line.stands()
        await line.peer.send(chunk(*[100] * 2000))
        sending = asyncio.create_task(line.peer.send(chunk(*[100] * 1000)))
        await line.client.sees(1)

        await line.client.close()

        with pytest.raises(PeerGone):
            await sending


async def test_sound_is_heard_where_it_was_offered() -> None:
    wave = np.sin(np.arange(48_000) / 20) * 20_000
    loud = Sound(pcm=wave.astype(np.int16).tobytes())
    async with dialled(audio=True) as line:
        await line.stands()

        await line.peer.send(Chunk(sound=loud))
        await line.client.hear()
        sounds = await line.client.hears_sound(30)

    assert sounds[0].sample_rate == 48_000
    assert max(abs(sounds[20].to_ndarray()[0])) > 1000


async def test_camera_and_microphone_reach_the_session() -> None:
    async with dialled(audio=True, camera=True) as line:
        await line.stands()
        pictures, sounds = [], []

        while not pictures or not sounds:
            media = await line.peer.receive()
            assert isinstance(media, ClientMedia)
            pictures.extend(media.pictures)
            sounds.extend([media.sound] if media.sound else [])

    assert (pictures[0].width, pictures[0].height) == (640, 480)
    assert len(pictures[0].rgb) == 640 * 480 * 3
    assert len(sounds[0].pcm) % (2 * sounds[0].channels) == 0


async def test_picture_beyond_all_measure_is_left_out() -> None:
    vast, small = VideoFrame(16_384, 8192, "gray"), grey_frame(1)
    frames = iter((vast, small))

    class Camera(MediaStreamTrack):
        kind = "video"

        async def recv(self) -> VideoFrame:
            if (frame := next(frames, None)) is None:
                raise MediaStreamError
            return frame

    async with dialled() as line:
        line.peer._track_offered(Camera())
        media = await line.peer.receive()

    assert (media.pictures[0].width, media.pictures[0].height) == (64, 36)


async def test_camera_of_a_push_is_not_looked_at() -> None:
    async with dialled(SERVER_PUSH, camera=True) as line:
        await line.stands()
        await line.peer.send(chunk(1))
        await line.client.sees(10)

        assert not line.peer._inbox._media


@pytest.mark.parametrize("mode", [BIDIRECTIONAL, SERVER_PUSH])
async def test_close_frees_everything(mode: Any) -> None:
    files = open_files()

    async with dialled(mode, audio=True, camera=True) as line:
        await line.stands()
        await line.peer.send(chunk(1))
        await line.client.sees(1)
        await asyncio.gather(line.peer.close(), line.peer.close())

    await tasks_end()
    assert not open_files() - files
    assert decoders() == []


async def test_close_before_the_client_came_leaves_nothing() -> None:
    files = open_files()

    async with webrtc_client(audio=True, camera=True) as client:
        peer, _ = await Negotiator(WebRtcOptions()).connect(
            await client.offer(), session_id="s", mode=BIDIRECTIONAL, fps=20
        )
        opening = asyncio.create_task(peer.opened())
        await asyncio.sleep(0)
        await peer.close()
        with pytest.raises(PeerGone):
            await opening

    await tasks_end()
    assert not open_files() - files


async def tasks_end() -> None:
    """Waits for whatever the library has under way."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, pending = await asyncio.wait(others, timeout=2)
        assert not pending


def decoders() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.endswith("-decoder")]
