"""Sessions: every end that one can have, and whatever may happen at the same moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import copy_context
from typing import Any

import pytest
from structlog.testing import capture_logs

from telefuser_grpc.domain.session import (
    Chunk,
    ClientMedia,
    CloseCause,
    Session,
    SessionState,
    StreamMode,
)
from telefuser_grpc.errors import (
    OfferRejected,
    SessionAlreadyExists,
    SessionConflict,
    SessionFailed,
    SessionLimitReached,
    SessionNotFound,
    SessionRejected,
    ShuttingDown,
    StreamNotRunning,
    TeleFuserError,
    WebRtcNotInstalled,
)
from telefuser_grpc.scheduler.callers import set_caller
from telefuser_grpc.scheduler.session_life import Life
from telefuser_grpc.scheduler.session_opening import Opening
from telefuser_grpc.scheduler.sessions import Sessions
from telefuser_grpc.scheduler.stream_ports import PeerGone
from tests.fakes.streams import (
    ANSWER_SDP,
    SDP,
    FakeConnect,
    FakePeer,
    FakeStreamHost,
    chunk,
    picture,
)

PUSH = StreamMode.SERVER_PUSH


@pytest.fixture
def host() -> FakeStreamHost:
    return FakeStreamHost()


@pytest.fixture
def connect() -> FakeConnect:
    return FakeConnect()


@pytest.fixture
async def sessions(host: FakeStreamHost, connect: FakeConnect) -> AsyncIterator[Sessions]:
    async with Sessions(host, limit=2, close_seconds=5, connect=connect) as owner:
        yield owner


@pytest.fixture
def peer() -> FakePeer:
    return FakePeer()


async def opened(sessions: Sessions, peer: FakePeer, session_id: str = "s1") -> Life:
    return await sessions.open(Opening(session_id=session_id), peer)


def of(caller: str, act: Callable[[], Any]) -> Any:
    """Does something as a caller."""
    context = copy_context()
    context.run(set_caller, caller)
    return context.run(act)


async def of_async(caller: str, act: Callable[[], Awaitable[Any]], *, key_id: str = "") -> Any:
    context = copy_context()
    context.run(set_caller, caller, key_id=key_id)
    return await asyncio.create_task(act(), context=context)  # type: ignore[arg-type]


async def test_offer_is_answered_under_the_id_that_the_pipeline_gives(
    sessions: Sessions, host: FakeStreamHost, connect: FakeConnect
) -> None:
    host.returns_id = "world-7"
    answer = await sessions.offer(Opening(session_id="s1", fields={"fps": 8}), SDP)

    assert (answer.session_id, answer.sdp) == ("world-7", ANSWER_SDP)
    assert connect.offers == [
        (SDP, {"session_id": "world-7", "mode": StreamMode.BIDIRECTIONAL, "fps": 8.0})
    ]
    assert host.configs == [{"fps": 8, "session_id": "s1"}]
    assert sessions.get("world-7").transport == "webrtc"
    with pytest.raises(SessionNotFound):
        sessions.get("s1")


async def test_id_is_chosen_where_the_client_chooses_none(
    sessions: Sessions, host: FakeStreamHost
) -> None:
    answer = await sessions.offer(Opening(), SDP)

    assert len(answer.session_id) == 36
    assert host.configs == [{"session_id": answer.session_id}]


async def test_messages_and_chunks_go_both_ways_in_their_order(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    said = [{"controls": ["w"]}, b"\x00\x01", ClientMedia(pictures=(picture(),))]
    made = [chunk(-1, pictures=0), chunk(0, pictures=3), chunk(1)]

    await opened(sessions, peer)
    for message in said:
        peer.say(message)
    host.make("s1", *made)

    assert await host.received("s1", 3) == said
    assert await peer.shown(3) == made
    assert sessions.get("s1").state is SessionState.ACTIVE


async def test_chunks_without_pictures_are_not_counted(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    await opened(sessions, peer)
    host.make("s1", chunk(-1, pictures=0, stage="ready"), chunk(0, pictures=16), chunk(1))
    host.end("s1")

    assert await peer.told() == (2, None)


async def test_session_stays_open_after_the_output_where_the_connection_does(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    life = await opened(sessions, peer)
    host.end("s1")
    await peer.told()

    assert sessions.get("s1").state is SessionState.ACTIVE
    peer.say(None)
    await life.ended()
    assert peer.finished == [(0, None)]
    assert host.closed == ["s1"]


async def test_session_ends_with_the_output_where_the_connection_does(
    sessions: Sessions, host: FakeStreamHost
) -> None:
    peer = FakePeer(transport="grpc", ends_with_output=True)
    life = await opened(sessions, peer)
    host.make("s1", chunk())
    host.end("s1")

    await life.ended()

    assert (life.error, peer.finished, peer.steps) == (None, [(1, None)], ["finish", "close"])
    assert not sessions.list()


async def test_pushed_output_stops_when_the_client_says_so(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    host.loaded = FakeStreamHost(PUSH).loaded
    life = await sessions.open(Opening(session_id="s1", fields={"task": "t2v"}), peer)
    host.make("s1", chunk())
    await peer.shown(1)

    peer.say({"controls": ["w"]})
    peer.say(None)
    await life.ended()

    assert host.requests == [{"task": "t2v", "session_id": "s1", "task_id": "s1"}]
    assert host.stopped == ["s1"]
    assert not host.pushed, "a service that only pushes hears nothing"
    assert (host.configs, host.closed) == ([], [])


@pytest.mark.parametrize("cause", [CloseCause.CONNECTION, CloseCause.DATA_CHANNEL_TIMEOUT])
async def test_client_that_is_gone_is_told_nothing(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer, cause: CloseCause
) -> None:
    life = await opened(sessions, peer)
    await host.begun("s1")

    with capture_logs() as logs:
        peer.go(cause)
        await life.ended()

    assert peer.steps == ["close"]
    assert (host.stopped, host.closed) == (["s1"], ["s1"])
    (line,) = [each for each in logs if each["event"] == "session ended"]
    assert {
        name: line[name] for name in ("session_id", "mode", "transport", "cause", "chunks")
    } == {
        "session_id": "s1",
        "mode": "bidirectional",
        "transport": "webrtc",
        "cause": str(cause),
        "chunks": 0,
    }


async def test_client_that_goes_while_a_chunk_is_sent_ends_the_session(
    sessions: Sessions, host: FakeStreamHost
) -> None:
    class Leaving(FakePeer):
        async def send(self, chunk: Chunk) -> None:
            raise PeerGone

    life = await opened(sessions, Leaving())
    host.make("s1", chunk())

    await life.ended()

    assert (life.error, host.closed) == (None, ["s1"])


async def test_connection_that_never_stands_ends_the_session(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    peer.opening = asyncio.Event()
    life = await opened(sessions, peer)
    assert sessions.get("s1").state is SessionState.CONNECTING

    peer.go(CloseCause.DATA_CHANNEL_TIMEOUT)
    peer.opening.set()
    await life.ended()

    assert (host.closed, peer.steps) == (["s1"], ["close"])


async def test_pipeline_that_fails_within_a_session_is_told_and_ends_it(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    life = await opened(sessions, peer)
    host.make("s1", chunk())
    host.fail("s1", "the stream process died")

    await life.ended()

    assert isinstance(life.error, SessionFailed)
    assert peer.finished == [(1, "the stream process died")]
    assert peer.steps == ["finish", "close"]
    assert host.closed == ["s1"]


async def test_fault_of_our_own_is_logged_and_told_without_its_words(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    life = await opened(sessions, peer)

    with capture_logs() as logs:
        host.fail("s1", ZeroDivisionError("secret"))
        await life.ended()

    ((_, told),) = peer.finished
    assert told is not None
    assert "secret" not in told
    assert [each["event"] for each in logs] == ["session failed", "session ended"]


async def test_process_that_dies_while_it_is_spoken_to_ends_the_session(
    host: FakeStreamHost, sessions: Sessions, peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def push(session_id: str, message: object) -> None:
        raise SessionFailed("the stream process died")

    monkeypatch.setattr(host, "push", push)
    life = await opened(sessions, peer)

    peer.say({"controls": []})
    await life.ended()

    assert peer.finished == [(0, "the stream process died")]


async def test_close_waits_until_all_is_let_go_and_the_id_is_free_again(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    await opened(sessions, peer)

    await sessions.close("s1")

    assert (peer.steps, host.closed) == (["finish", "close"], ["s1"])
    with pytest.raises(SessionNotFound):
        await sessions.close("s1")
    await opened(sessions, FakePeer())


async def test_two_closes_at_once_end_a_session_once(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    await opened(sessions, peer)

    await asyncio.gather(sessions.close("s1"), sessions.close("s1"))

    assert (peer.steps, host.closed) == (["finish", "close"], ["s1"])


async def test_session_that_is_being_let_go_is_gone_but_keeps_its_place(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    host.closing = asyncio.Event()
    life = await opened(sessions, peer)
    await host.begun("s1")
    peer.say(None)
    await peer.told()

    with pytest.raises(SessionNotFound):
        sessions.get("s1")
    with pytest.raises(SessionAlreadyExists):
        await opened(sessions, FakePeer())
    assert (sessions.list(), sessions.counts()) == ([], {StreamMode.BIDIRECTIONAL: 1})
    host.closing.set()
    await life.ended()
    assert not sessions.counts()


async def test_limit_counts_sessions_that_are_about_to_be(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    host.creating = asyncio.Event()
    offers = [asyncio.create_task(opened(sessions, FakePeer(), each)) for each in ("a", "b")]
    await host.begun("create")

    with pytest.raises(SessionLimitReached, match=r"Max WebRTC sessions \(2\) reached"):
        await opened(sessions, peer, "c")
    with pytest.raises(SessionAlreadyExists, match="Session a already exists"):
        await opened(sessions, peer, "a")

    host.creating.set()
    assert [life.id for life in await asyncio.gather(*offers)] == ["a", "b"]
    assert len(host.configs) == 2


@pytest.mark.parametrize(
    "refusal", [SessionRejected("no image"), SessionConflict("one session"), OSError("disk")]
)
async def test_refusal_of_the_pipeline_is_passed_on_and_takes_no_room(
    sessions: Sessions, host: FakeStreamHost, refusal: Exception, connect: FakeConnect
) -> None:
    host.refusal = refusal
    with capture_logs() as logs, pytest.raises(type(refusal)) as caught:
        await sessions.offer(Opening(session_id="s1"), SDP)

    assert caught.value is refusal
    assert (connect.offers, host.closed, sessions.counts()) == ([], [], {})
    assert "session ended" not in [each["event"] for each in logs]


async def test_failed_negotiation_rolls_the_session_back_before_it_is_told(
    sessions: Sessions, host: FakeStreamHost, connect: FakeConnect
) -> None:
    connect.refusal = OfferRejected("no m=video")

    with pytest.raises(OfferRejected):
        await sessions.offer(Opening(session_id="s1"), SDP)

    assert (host.closed, sessions.counts()) == (["s1"], {})


async def test_close_during_negotiation_ends_it(
    sessions: Sessions, host: FakeStreamHost, connect: FakeConnect
) -> None:
    connect.negotiating = asyncio.Event()
    offer = asyncio.create_task(sessions.offer(Opening(session_id="s1"), SDP))
    await connect.begun.wait()

    await sessions.close("s1")

    with pytest.raises(SessionConflict, match="closed while it was being opened"):
        await offer
    assert (connect.cut, host.closed, sessions.counts()) == (1, ["s1"], {})


async def test_client_that_goes_while_the_pipeline_creates_leaves_nothing(
    sessions: Sessions, host: FakeStreamHost, connect: FakeConnect
) -> None:
    host.creating = asyncio.Event()
    host.returns_id = "world-7"
    offer = asyncio.create_task(sessions.offer(Opening(session_id="s1"), SDP))
    await host.begun("create")

    offer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await offer
    assert sessions.counts(), "what is being created takes room until it is closed"
    host.creating.set()
    await sessions.close_all()

    assert (host.closed, connect.offers, sessions.counts()) == (["world-7"], [], {})


async def test_pipeline_that_gives_an_id_twice_keeps_the_session_that_has_it(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    host.returns_id = "world"
    await opened(sessions, peer, "a")

    with pytest.raises(SessionConflict, match="session world is open already"):
        await opened(sessions, FakePeer(), "b")

    assert host.closed == [], "closing it would end the session of somebody else"
    assert [each.id for each in sessions.list()] == ["world"]


async def test_pipeline_that_gives_the_id_of_a_session_to_be_has_its_own_closed(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    creating = host.creating = asyncio.Event()
    first = asyncio.create_task(opened(sessions, peer, "a"))
    await host.begun("create")
    host.creating, host.returns_id = None, "a"

    with pytest.raises(SessionAlreadyExists, match="Session a already exists"):
        await opened(sessions, FakePeer(), "b")
    assert host.closed == ["a"], "else nobody would ever close it"

    creating.set()
    assert (await first).id == "a"
    assert host.closed == ["a"]


async def test_revoked_key_ends_the_sessions_that_it_has_opened(
    sessions: Sessions, peer: FakePeer
) -> None:
    other = FakePeer()
    ended = await of_async("ann", lambda: opened(sessions, peer, "a"), key_id="ann#1")
    await of_async("ann", lambda: opened(sessions, other, "b"), key_id="ann#2")

    sessions.revoke({"ann#1", "bob#1"})
    await ended.ended()

    assert peer.finished == [(0, "The API key that the session was opened with was revoked")]
    assert [each.id for each in sessions.list()] == ["b"]


async def test_renamed_session_keeps_its_place_in_the_list(
    sessions: Sessions, host: FakeStreamHost
) -> None:
    host.creating, host.returns_id = asyncio.Event(), "z"
    first = asyncio.create_task(opened(sessions, FakePeer(), "a"))
    await host.begun("create")
    loaded, host.loaded = host.loaded, FakeStreamHost(PUSH).loaded
    await opened(sessions, FakePeer(), "b")
    host.loaded = loaded
    host.creating.set()
    await first

    assert [each.id for each in sessions.list()] == ["z", "b"]
    assert sessions.counts() == {StreamMode.BIDIRECTIONAL: 1, PUSH: 1}


async def test_nothing_is_opened_while_nothing_is_loaded(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    host.loaded = None

    with pytest.raises(StreamNotRunning):
        await opened(sessions, peer)

    assert not sessions.counts()


async def test_server_that_cannot_negotiate_says_so_before_it_asks_the_pipeline(
    host: FakeStreamHost,
) -> None:
    sessions = Sessions(host, limit=2)

    with pytest.raises(WebRtcNotInstalled):
        await sessions.offer(Opening(), SDP)

    assert not host.configs


async def test_sessions_of_others_do_not_exist(sessions: Sessions, peer: FakePeer) -> None:
    await of_async("ann", lambda: opened(sessions, peer, "a"))

    with pytest.raises(SessionNotFound):
        of("bob", lambda: sessions.get("a"))
    with pytest.raises(SessionNotFound):
        await of_async("bob", lambda: sessions.close("a"))

    assert of("bob", sessions.list) == []
    assert [each.owner for each in of("ann", sessions.list)] == ["ann"]
    assert isinstance(sessions.get("a"), Session), "who knows no callers sees all"


async def test_shutdown_ends_all_sessions_and_opens_none(
    sessions: Sessions, host: FakeStreamHost
) -> None:
    peers = [FakePeer(), FakePeer()]
    lives = [await opened(sessions, each, name) for each, name in zip(peers, "ab", strict=True)]

    await sessions.close_all()

    assert [each.finished for each in peers] == [[(0, ShuttingDown().message)]] * 2
    assert {type(life.error) for life in lives} == {ShuttingDown}
    assert sorted(host.closed) == ["a", "b"]
    with pytest.raises(ShuttingDown):
        await opened(sessions, FakePeer())


async def test_shutdown_during_negotiation_says_so_to_the_client(
    sessions: Sessions, host: FakeStreamHost, connect: FakeConnect
) -> None:
    connect.negotiating = asyncio.Event()
    offer = asyncio.create_task(sessions.offer(Opening(), SDP))
    await connect.begun.wait()

    await sessions.close_all()

    with pytest.raises(ShuttingDown):
        await offer
    assert len(host.closed) == 1


async def test_shutdown_does_not_wait_for_ever_for_a_pipeline(host: FakeStreamHost) -> None:
    host.creating = asyncio.Event()
    sessions = Sessions(host, limit=1, close_seconds=0.05)
    opening = asyncio.create_task(opened(sessions, FakePeer()))
    await host.begun("create")

    await sessions.close_all()

    with pytest.raises(TeleFuserError):
        await opening
    assert not sessions.counts()


async def test_pipeline_that_does_not_close_keeps_no_connection_open(host: FakeStreamHost) -> None:
    host.closing = asyncio.Event()
    peer = FakePeer()

    async with Sessions(host, limit=1, close_seconds=0.05) as sessions:
        await opened(sessions, peer)
        with capture_logs() as logs:
            await sessions.close("s1")

    assert peer.steps == ["finish", "close"]
    assert "session is let go badly" in [each["event"] for each in logs]


async def test_what_ends_a_session_first_is_why_it_has_ended(
    sessions: Sessions, host: FakeStreamHost, peer: FakePeer
) -> None:
    host.closing = asyncio.Event()
    life = await opened(sessions, peer)
    closing = asyncio.create_task(sessions.close("s1"))
    await peer.told()

    with capture_logs() as logs:
        stopping = asyncio.create_task(sessions.close_all())
        life.end(CloseCause.CONNECTION)
        host.closing.set()
        await asyncio.gather(closing, stopping)

    assert [each["cause"] for each in logs if each["event"] == "session ended"] == ["request"]
    assert life.error is None
