"""The native session service, over a real server of grpc.aio."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from telefuser_grpc._gen.telefuser.v1 import session_service_pb2 as pb
from telefuser_grpc.domain.api_key import read_list
from telefuser_grpc.domain.session import Chunk, ClientMedia, Picture, Sound, StreamMode
from telefuser_grpc.errors import (
    OfferRejected,
    SessionConflict,
    SessionRejected,
    StreamNotRunning,
)
from telefuser_grpc.server.interceptors.keys import KeyCheck
from telefuser_grpc.server.keys import REVOKED, KeyRing
from tests.fakes.streams import ANSWER_SDP, FakePeer, chunk, picture, sound
from tests.server.refusal import Refusal, read_refusal, refusal
from tests.server.stream_backend import Interaction, StreamBackend, opening, said

PUSH = StreamMode.SERVER_PUSH


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[StreamBackend]:
    async with StreamBackend(tmp_path) as served:
        yield served


async def failed(talk: Interaction) -> Refusal:
    """Reads a call to its bad end."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await talk.rest()
    return read_refusal(caught.value)


def fields(refused: Refusal) -> list[str]:
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    return list(refused.violations)


def file_of(shade: int, name: str, size: tuple[int, int] = (8, 4)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, (shade, shade, shade)).save(content, name)
    return content.getvalue()


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


async def test_first_answer_says_how_the_session_was_opened(backend: StreamBackend) -> None:
    backend.host.returns_id = "world-7"
    config = {"task": "i2v", "fps": 16, "seed": 2**53, "scale": 1.5, "image": None}

    async with backend.interact(opening("s1", config=config)) as talk:
        opened = (await talk.read()).opened

    assert opened.fps == 16.0
    assert opened.session == pb.Session(
        id="world-7",
        mode=pb.SESSION_MODE_BIDIRECTIONAL,
        state=pb.SESSION_STATE_ACTIVE,
        transport="grpc",
    )
    assert backend.host.configs == [{**config, "session_id": "s1"}]
    assert type(backend.host.configs[0]["seed"]) is int


async def test_everything_said_reaches_the_pipeline_in_order(backend: StreamBackend) -> None:
    async with backend.interact(opening()) as talk:
        await talk.say(control={"type": "control_state", "controls": ["w"], "at": 3})
        await talk.say(data=b"\x00\xff")
        await talk.say(sound=pb.SessionSound(pcm=bytes(4), sample_rate=16_000, channels=2))
        await talk.say(control={})

        heard = await backend.host.received("s1", 4)

    assert heard == [
        {"type": "control_state", "controls": ["w"], "at": 3},
        b"\x00\xff",
        ClientMedia(sound=Sound(pcm=bytes(4), sample_rate=16_000, channels=2)),
        {},
    ]


async def test_pictures_of_a_client_are_decoded(backend: StreamBackend) -> None:
    raw = picture(3, 2, 7)
    sent = [
        pb.SessionPicture(
            width=3, height=2, content=raw.rgb, format=pb.PictureFormat.PICTURE_FORMAT_RGB
        ),
        pb.SessionPicture(content=file_of(9, "PNG"), format=pb.PICTURE_FORMAT_PNG),
        pb.SessionPicture(content=file_of(200, "JPEG"), format=pb.PICTURE_FORMAT_JPEG),
    ]

    async with backend.interact(opening()) as talk:
        await talk.say(pictures=pb.SessionPictures(pictures=sent))
        (media,) = await backend.host.received("s1", 1)

    assert isinstance(media, ClientMedia)
    assert media.pictures[:2] == (raw, picture(8, 4, 9))
    assert abs(media.pictures[2].rgb[0] - 200) < 4


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (pb.PICTURE_FORMAT_UNSPECIFIED, "JPEG"),
        (pb.PICTURE_FORMAT_JPEG, "JPEG"),
        (pb.PICTURE_FORMAT_PNG, "PNG"),
    ],
)
async def test_pictures_are_sent_in_the_format_that_was_asked_for(
    backend: StreamBackend, wanted: Any, name: str
) -> None:
    async with backend.interact(opening(picture_format=wanted)) as talk:
        await talk.read()
        backend.host.make("s1", Chunk(index=4, fps=8.0, pictures=(picture(16, 8, 90),) * 2))
        made = (await talk.read()).chunk

    assert (made.index, made.pictures.fps, len(made.pictures.pictures)) == (4, 8.0, 2)
    (first, _) = made.pictures.pictures
    assert first.format == pb.PictureFormat.Value(f"PICTURE_FORMAT_{name}")
    assert (first.width, first.height) == (16, 8)
    with Image.open(io.BytesIO(first.content)) as image:
        assert (image.format, image.size) == (name, (16, 8))
        assert abs(image.convert("L").getpixel((3, 3)) - 90) < 4  # type: ignore[operator]


async def test_raw_pictures_sound_and_words_come_as_they_were_made(backend: StreamBackend) -> None:
    made = Chunk(
        index=-1,
        pictures=(Picture(width=1, height=2, rgb=b"abcdef"),),
        sound=sound(4),
        data={"type": "status", "stage": "ready", "steps": [1, 2.5, None]},
    )
    async with backend.interact(opening(picture_format=pb.PICTURE_FORMAT_RGB)) as talk:
        await talk.read()
        backend.host.make("s1", made, Chunk(data={"a": 1}))
        first, second = (await talk.read()).chunk, (await talk.read()).chunk

    assert first.pictures.pictures[0].content == b"abcdef"
    assert (first.sound.pcm, first.sound.sample_rate, first.sound.channels) == (bytes(8), 48_000, 1)
    assert dict(first.data)["stage"] == "ready"
    assert (first.index, first.HasField("sound")) == (-1, True)
    assert (second.HasField("pictures"), second.HasField("sound")) == (False, False)


async def test_end_of_the_output_ends_the_call_with_the_count(backend: StreamBackend) -> None:
    async with backend.interact(opening()) as talk:
        backend.host.make("s1", chunk(0), chunk(1, pictures=0), chunk(2))
        backend.host.end("s1")
        *_, last = await talk.rest()

    assert (last.done.chunks, await talk.call.code()) == (2, grpc.StatusCode.OK)
    assert backend.host.closed == ["s1"]
    assert not backend.sessions.list()


async def test_stop_ends_the_call_in_order(backend: StreamBackend) -> None:
    async with backend.interact(opening()) as talk:
        await talk.read()
        await talk.say(stop=pb.SessionStop())
        responses = await talk.rest()

    assert [each.WhichOneof("message") for each in responses] == ["done"]
    assert (backend.host.stopped, backend.host.closed) == (["s1"], ["s1"])


async def test_half_closing_is_no_end(backend: StreamBackend) -> None:
    async with backend.interact(opening()) as talk:
        await talk.read()
        await talk.call.done_writing()
        for index in range(3):
            backend.host.make("s1", chunk(index))
            assert (await talk.read()).chunk.index == index
        backend.host.end("s1")
        (last,) = await talk.rest()

    assert last.done.chunks == 3


@pytest.mark.parametrize("is_half_closed", [False, True])
async def test_cancelling_the_call_stops_the_pipeline(
    backend: StreamBackend, is_half_closed: bool
) -> None:
    async with backend.interact(opening()) as talk:
        await talk.read()
        if is_half_closed:
            await talk.call.done_writing()
        life = backend.sessions._lives["s1"]
        await backend.host.begun("s1")

    await asyncio.wait_for(life.ended(), 5)
    assert (backend.host.stopped, backend.host.closed) == (["s1"], ["s1"])


async def test_client_that_hangs_up_while_the_pipeline_creates_leaves_nothing(
    backend: StreamBackend,
) -> None:
    backend.host.creating = asyncio.Event()
    async with backend.interact(opening()):
        await backend.host.begun("create")
        life = backend.sessions._lives["s1"]

    await asyncio.wait([life._story])
    backend.host.creating.set()
    await asyncio.wait_for(life.ended(), 5)
    assert backend.host.closed == ["s1"]


async def test_pushed_session_is_told_everything_at_the_opening(tmp_path: Path) -> None:
    wish = opening("", config={"task": "t2v", "image": None})
    async with StreamBackend(tmp_path, mode=PUSH) as backend, backend.interact(wish) as talk:
        session = (await talk.read()).opened.session
        backend.host.make(session.id, chunk())
        backend.host.end(session.id)
        await talk.rest()

    assert session.mode == pb.SESSION_MODE_SERVER_PUSH
    assert backend.host.requests == [
        {"task": "t2v", "session_id": session.id, "task_id": session.id}
    ]


async def test_failing_pipeline_aborts_the_call_after_what_it_made(backend: StreamBackend) -> None:
    async with backend.interact(opening()) as talk:
        await talk.read()
        backend.host.make("s1", chunk(0))
        backend.host.fail("s1", "the stream process died")
        assert (await talk.read()).chunk.index == 0
        refused = await failed(talk)

    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "SESSION_FAILED")
    assert refused.message == "the stream process died"


async def test_shutdown_ends_the_call_as_unavailable(backend: StreamBackend) -> None:
    async with backend.interact(opening()) as talk:
        await talk.read()
        await backend.sessions.close_all()
        refused = await failed(talk)

    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (SessionRejected("no image"), "INVALID_ARGUMENT", "SESSION_REJECTED"),
        (SessionConflict("one at a time"), "FAILED_PRECONDITION", "SESSION_CONFLICT"),
        (StreamNotRunning(), "UNAVAILABLE", "STREAM_NOT_RUNNING"),
    ],
)
async def test_refusal_of_the_pipeline_is_told(
    backend: StreamBackend, error: Exception, code: str, reason: str
) -> None:
    backend.host.refusal = error

    async with backend.interact(opening()) as talk:
        refused = await failed(talk)

    assert (refused.code.name, refused.reason) == (code, reason)


async def test_more_sessions_than_the_limit_are_refused(tmp_path: Path) -> None:
    async with StreamBackend(tmp_path, limit=1) as backend, backend.interact(opening("a")) as first:
        await first.read()
        async with backend.interact(opening("b")) as second:
            refused = await failed(second)

    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.retry_seconds == 5


async def test_calls_whose_last_chunks_nobody_reads_are_limited_too(tmp_path: Path) -> None:
    large = Picture(width=2000, height=2000, rgb=bytes(3 * 2000 * 2000))
    async with StreamBackend(tmp_path, limit=1) as backend, AsyncExitStack() as calls:
        for session_id in ("read", "read", "read", "unread", "other"):
            talk = await calls.enter_async_context(
                backend.interact(opening(session_id, picture_format=RGB))
            )
            await talk.read()
            if session_id != "read":
                backend.host.make(session_id, *[Chunk(pictures=(large,))] * 4)
                await _settled(backend, session_id)
            closing = pb.CloseSessionRequest(session_id=session_id)
            await backend.session_service.CloseSession(closing)
            if session_id == "read":
                await talk.rest()
        async with backend.interact(opening("third")) as third:
            refused = await failed(third)

    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("first", "field"),
    [
        (said(control={"controls": []}), "open"),
        (pb.InteractRequest(), "open"),
        (opening("a/b"), "session_id"),
        (opening(picture_format=9), "open.picture_format"),
        (opening(config={"fps": -1}), "fps"),
        (opening(config={"a": {"b": float("nan")}}), "open.config.a"),
    ],
)
async def test_call_that_opens_nothing_is_refused_by_name(
    backend: StreamBackend, first: pb.InteractRequest, field: str
) -> None:
    async with backend.interact(first) as talk:
        assert fields(await failed(talk)) == [field]

    assert not backend.host.configs


async def test_call_that_says_nothing_is_refused(backend: StreamBackend) -> None:
    async with backend.interact() as talk:
        await talk.call.done_writing()

        assert fields(await failed(talk)) == ["open"]


ANN, BOB = "sk-ann-0123456789", "sk-bob-0123456789"
RGB, PNG = pb.PICTURE_FORMAT_RGB, pb.PICTURE_FORMAT_PNG


def pictures(*each: pb.SessionPicture) -> pb.SessionPictures:
    return pb.SessionPictures(pictures=each)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (opening("other"), "open"),
        (pb.InteractRequest(), "message"),
        (said(control={"x": float("inf")}), "control.x"),
        (said(pictures=pictures()), "pictures.pictures"),
        (
            said(pictures=pictures(*[pb.SessionPicture(width=1, height=1)] * 65)),
            "pictures.pictures",
        ),
        (
            said(pictures=pictures(pb.SessionPicture(width=2, height=2, content=b"a", format=RGB))),
            "pictures.pictures[0].content",
        ),
        (
            said(pictures=pictures(pb.SessionPicture(format=RGB))),
            "pictures.pictures[0].content",
        ),
        (
            said(pictures=pictures(pb.SessionPicture(content=b"no png", format=PNG))),
            "pictures.pictures[0].content",
        ),
        (
            said(pictures=pictures(pb.SessionPicture(content=file_of(1, "GIF"), format=PNG))),
            "pictures.pictures[0].content",
        ),
        (
            said(
                pictures=pictures(
                    pb.SessionPicture(content=file_of(1, "PNG"), format=PNG),
                    pb.SessionPicture(content=file_of(1, "PNG")[:-30], format=PNG),
                )
            ),
            "pictures.pictures[1].content",
        ),
        (said(pictures=pictures(pb.SessionPicture(format=9))), "pictures.pictures[0].format"),
        (said(sound=pb.SessionSound(sample_rate=8000)), "sound.channels"),
        (said(sound=pb.SessionSound(channels=1)), "sound.sample_rate"),
        (said(sound=pb.SessionSound(pcm=b"abc", channels=1, sample_rate=8000)), "sound.pcm"),
    ],
)
async def test_message_that_is_wrong_ends_the_session_and_is_named(
    backend: StreamBackend, message: pb.InteractRequest, field: str
) -> None:
    async with backend.interact(opening(), message) as talk:
        assert (await talk.read()).HasField("opened")
        assert fields(await failed(talk)) == [field]

    assert backend.host.closed == ["s1"]
    assert not backend.host.pushed


async def test_picture_that_unpacks_to_too_much_is_refused(backend: StreamBackend) -> None:
    content = io.BytesIO()
    Image.new("1", (8192, 4096)).save(content, "PNG")
    large = pb.SessionPicture(content=content.getvalue(), format=PNG)

    async with backend.interact(opening(), said(pictures=pictures(large))) as talk:
        await talk.read()
        refused = await failed(talk)

    assert "too many pixels" in refused.message


async def test_slow_reader_slows_the_pipeline(backend: StreamBackend) -> None:
    large = Picture(width=512, height=512, rgb=bytes(3 * 512 * 512))
    async with backend.interact(opening(picture_format=RGB)) as talk:
        await talk.read()
        backend.host.make("s1", *[Chunk(index=each, pictures=(large,)) for each in range(60)])
        first = await talk.read()
        await _settled(backend)
        taken = backend.host.taken["s1"]
        rest = [(await talk.read()).chunk.index for _ in range(59)]

    assert first.chunk.index == 0
    assert taken < 30, "what nobody reads was made"
    assert rest == list(range(1, 60)), "nothing is lost"


async def _settled(backend: StreamBackend, session_id: str = "s1") -> None:
    """Waits until the pipeline is asked for nothing more."""
    taken = -1
    while taken != backend.host.taken[session_id]:
        taken = backend.host.taken[session_id]
        for _ in range(30):
            await backend.session_service.GetSession(pb.GetSessionRequest(session_id=session_id))


async def test_session_is_read_listed_and_closed_by_its_id(backend: StreamBackend) -> None:
    service = backend.session_service
    async with backend.interact(opening("a")) as talk, backend.interact(opening("b")) as other:
        await talk.read()
        await other.read()
        backend.host.make("a", chunk())
        await talk.read()

        got = await service.GetSession(pb.GetSessionRequest(session_id="a"))
        listed = await service.ListSessions(pb.ListSessionsRequest())
        await service.CloseSession(pb.CloseSessionRequest(session_id="a"))
        (last,) = await talk.rest()

        assert (got.session.id, got.session.state) == ("a", pb.SESSION_STATE_ACTIVE)
        assert [each.id for each in listed.sessions] == ["a", "b"]
        assert last.done.chunks == 1
        assert backend.host.closed == ["a"]
        for call in (
            service.GetSession(pb.GetSessionRequest(session_id="a")),
            service.CloseSession(pb.CloseSessionRequest(session_id="a")),
        ):
            gone = await refusal(call)
            assert (gone.code, gone.reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")


async def test_offer_is_answered(backend: StreamBackend) -> None:
    request = pb.OfferSessionRequest(sdp="v=0", session_id="s1")
    request.config.update({"task": "i2v", "fps": 8})

    answer = await backend.session_service.OfferSession(request)

    assert answer == pb.OfferSessionResponse(session_id="s1", sdp=ANSWER_SDP)
    assert backend.host.configs == [{"task": "i2v", "fps": 8, "session_id": "s1"}]
    assert backend.sessions.get("s1").transport == "webrtc"


async def test_offer_that_cannot_be_answered_names_the_sdp(backend: StreamBackend) -> None:
    backend.connect.refusal = OfferRejected("it has no video")

    refused = await refusal(
        backend.session_service.OfferSession(pb.OfferSessionRequest(sdp="v=0", session_id="s1"))
    )
    empty = await refusal(backend.session_service.OfferSession(pb.OfferSessionRequest()))

    assert refused.reason == "OFFER_REJECTED"
    assert (fields(refused), fields(empty)) == (["sdp"], ["sdp"])
    assert backend.host.closed == ["s1"]


async def test_offer_of_a_caller_who_goes_away_leaves_nothing(backend: StreamBackend) -> None:
    backend.connect.negotiating = asyncio.Event()
    call = backend.session_service.OfferSession(pb.OfferSessionRequest(sdp="v=0", session_id="s1"))
    await backend.connect.begun.wait()
    life = backend.sessions._lives["s1"]

    call.cancel()
    await asyncio.wait_for(life.ended(), 5)

    assert (backend.connect.cut, backend.host.closed) == (1, ["s1"])


async def test_other_peers_are_not_disturbed_by_a_call_that_fails(backend: StreamBackend) -> None:
    peer = FakePeer()
    backend.connect._peers.append(peer)
    await backend.session_service.OfferSession(
        pb.OfferSessionRequest(sdp="v=0", session_id="browser")
    )
    async with backend.interact(opening("a")) as talk:
        backend.host.fail("a", "died")
        await failed(talk)

    backend.host.make("browser", chunk())
    assert len(await peer.shown(1)) == 1


async def test_session_is_its_callers_alone_and_ends_with_the_key(tmp_path: Path) -> None:
    ring = KeyRing(read_list(f"ann:{ANN},bob:{BOB}"))
    async with StreamBackend(tmp_path, keys=KeyCheck(ring.by_key, ring)) as backend:
        service, request = backend.session_service, pb.GetSessionRequest(session_id="s1")
        async with backend.interact(opening(), metadata=bearer(ANN)) as talk:
            await talk.read()
            life = backend.sessions._lives["s1"]
            mine = await service.GetSession(request, metadata=bearer(ANN))
            hidden = await refusal(service.GetSession(request, metadata=bearer(BOB)))
            closed = await refusal(
                service.CloseSession(pb.CloseSessionRequest(session_id="s1"), metadata=bearer(BOB))
            )

            ring.replace(read_list(f"bob:{BOB}"))
            refused = await failed(talk)
            await asyncio.wait_for(life.ended(), 5)

    assert (mine.session.id, life.terms.owner) == ("s1", "ann")
    assert {hidden.reason, closed.reason} == {"SESSION_NOT_FOUND"}
    assert (refused.code, refused.message) == (grpc.StatusCode.UNAUTHENTICATED, REVOKED)
    assert backend.host.closed == ["s1"]
