"""Live sessions of both native clients, against the real service with a fake process behind it."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from telefuser_grpc.client import (
    AsyncClient,
    AsyncLiveSession,
    Client,
    LiveSession,
    PictureFormat,
    SessionPicture,
)
from telefuser_grpc.domain.session import (
    Chunk,
    ClientMedia,
    Picture,
    SessionState,
    Sound,
    StreamMode,
)
from telefuser_grpc.errors import (
    InvalidFields,
    SessionConflict,
    SessionFailed,
    SessionLimitReached,
    SessionNotFound,
    Unavailable,
)
from telefuser_grpc.scheduler.session_life import Life
from tests.fakes.streams import chunk, picture, sound
from tests.server.stream_backend import StreamBackend


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[StreamBackend]:
    async with StreamBackend(tmp_path, limit=1) as served:
        yield served


@pytest.fixture
async def client(backend: StreamBackend) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(backend.address, timeout_seconds=5) as connected:
        yield connected


async def in_thread(backend: StreamBackend, program: Callable[[Client], Any]) -> Any:
    """Runs a program without an event loop."""

    def run() -> Any:
        with Client(backend.address, timeout_seconds=5) as connected:
            return program(connected)

    return await asyncio.to_thread(run)


async def test_session_is_opened_steered_and_watched(
    backend: StreamBackend, client: AsyncClient
) -> None:
    backend.host.returns_id = "world-7"
    made = Chunk(
        index=2, fps=8.0, pictures=(picture(),), sound=sound(2), data={"stage": "x", "n": 1}
    )

    async with client.session({"task": "i2v", "fps": 16, "deep": {"a": [1]}}) as session:
        await session.send({"controls": ["w"], "at": 1})
        await session.send(b"\x01")
        await session.send(Sound(pcm=bytes(4), channels=2))
        heard = await backend.host.received("world-7", 3)
        backend.host.make("world-7", made)
        backend.host.end("world-7")
        (got,) = [each async for each in session]

    assert (session.id, session.fps, session.chunks) == ("world-7", 16.0, 1)
    assert (session.session.mode, session.session.transport) == (StreamMode.BIDIRECTIONAL, "grpc")
    assert heard == [
        {"controls": ["w"], "at": 1},
        b"\x01",
        ClientMedia(sound=Sound(pcm=bytes(4), channels=2)),
    ]
    assert (got.index, got.fps, got.data, got.sound) == (2, 8.0, {"stage": "x", "n": 1}, sound(2))
    (shown,) = got.pictures
    with Image.open(io.BytesIO(shown.content)) as image:
        assert (shown.format, image.format, image.size) == (PictureFormat.JPEG, "JPEG", (4, 2))
    config = {key: each for key, each in backend.host.configs[0].items() if key != "session_id"}
    assert config == {"task": "i2v", "fps": 16, "deep": {"a": [1]}}


async def test_session_without_a_loop_is_opened_steered_and_watched(backend: StreamBackend) -> None:
    def program(client: Client) -> LiveSession:
        with client.session(session_id="s1", picture_format=PictureFormat.RGB) as session:
            session.send({"controls": ["w"]})
            seen.extend(session)
        return session

    seen: list[Any] = []
    running = asyncio.create_task(in_thread(backend, program))
    heard = await backend.host.received("s1", 1)
    backend.host.make("s1", chunk(0), chunk(1, pictures=0, stage="ready"))
    backend.host.end("s1")
    session = await running

    assert heard == [{"controls": ["w"]}]
    assert [(each.index, len(each.pictures)) for each in seen] == [(0, 1), (1, 0)]
    assert seen[0].pictures[0].content == picture().rgb
    assert (session.id, session.chunks, session.fps) == ("s1", 1, 24.0)


async def test_pictures_of_a_camera_reach_the_pipeline(
    backend: StreamBackend, client: AsyncClient
) -> None:
    raw = SessionPicture(content=b"abcdef", format=PictureFormat.RGB, width=2, height=1)
    packed = io.BytesIO()
    Image.new("RGB", (3, 1), (5, 5, 5)).save(packed, "PNG")

    async with client.session(session_id="s1") as session:
        await session.send(
            [raw, SessionPicture(content=packed.getvalue(), format=PictureFormat.PNG)]
        )
        (media,) = await backend.host.received("s1", 1)

    assert media == ClientMedia(
        pictures=(Picture(width=2, height=1, rgb=b"abcdef"), picture(3, 1, 5))
    )


async def test_leaving_the_block_frees_the_pipeline_for_the_next(
    backend: StreamBackend, client: AsyncClient
) -> None:
    for _ in range(3):
        async with client.session(session_id="s1") as session:
            backend.host.make("s1", chunk())
            async for each in session:
                assert each.index == 0
                break
        assert session.chunks == 1

    assert backend.host.closed == ["s1"] * 3


async def test_leaving_the_block_without_a_loop_frees_the_pipeline_for_the_next(
    backend: StreamBackend,
) -> None:
    def program(client: Client) -> None:
        for _ in range(3):
            with client.session(session_id="s1"):
                pass

    await in_thread(backend, program)

    assert backend.host.closed == ["s1"] * 3


async def test_error_inside_of_the_block_ends_the_session_at_once(
    backend: StreamBackend, client: AsyncClient
) -> None:
    async def program() -> None:
        async with client.session(session_id="s1"):
            lives.append(backend.sessions._lives["s1"])
            raise ZeroDivisionError

    lives: list[Life] = []
    with pytest.raises(ZeroDivisionError):
        await program()

    await asyncio.wait_for(lives[0].ended(), 5)
    assert backend.host.closed == ["s1"]


async def test_stop_ends_the_iteration(backend: StreamBackend, client: AsyncClient) -> None:
    async with client.session(session_id="s1") as session:
        backend.host.make("s1", chunk())
        async for _ in session:
            await session.stop()
        await session.send({"controls": []})

    assert session.chunks == 1
    assert not backend.host.pushed


async def test_failure_of_the_pipeline_is_raised_by_the_iteration(
    backend: StreamBackend, client: AsyncClient
) -> None:
    async with client.session(session_id="s1") as session:
        backend.host.fail("s1", "the stream process died")
        with pytest.raises(SessionFailed, match="the stream process died"):
            _ = [each async for each in session]
        await session.send({"controls": []})


async def test_failure_of_the_pipeline_is_raised_without_a_loop(backend: StreamBackend) -> None:
    def program(client: Client) -> None:
        with client.session(session_id="s1") as session:
            for _ in session:
                pass

    backend.host.fail("s1", "the stream process died")

    with pytest.raises(SessionFailed, match="the stream process died"):
        await in_thread(backend, program)


@pytest.mark.parametrize("is_aio", [True, False])
async def test_refused_session_is_raised_by_entering_the_block(
    backend: StreamBackend, client: AsyncClient, is_aio: bool
) -> None:
    backend.host.refusal = SessionConflict("one at a time")

    def program(client: Client) -> None:
        with client.session():
            raise AssertionError("it was opened")

    entering = client.session().__aenter__() if is_aio else in_thread(backend, program)
    with pytest.raises(SessionConflict, match="one at a time"):
        await entering
    assert not backend.sessions.counts()


async def test_refusals_come_as_their_classes(backend: StreamBackend, client: AsyncClient) -> None:
    with pytest.raises(InvalidFields) as wrong:
        await client.session({"fps": -1}).__aenter__()
    async with client.session():
        with pytest.raises(SessionLimitReached) as full:
            await client.session().__aenter__()

    assert [each.field for each in wrong.value.violations] == ["fps"]
    assert full.value.retry_after_seconds == 5


async def test_session_has_the_limit_of_its_client(
    backend: StreamBackend, client: AsyncClient
) -> None:
    async with client.within(0.3).session(session_id="s1") as session:
        life = backend.sessions._lives["s1"]
        with pytest.raises(Unavailable, match="in time"):
            _ = [each async for each in session]

    await asyncio.wait_for(life.ended(), 5)


async def test_session_is_listed_and_closed_by_its_id(
    backend: StreamBackend, client: AsyncClient
) -> None:
    async with client.session(session_id="s1") as session:
        (listed,) = await client.sessions()
        got = await client.get_session("s1")
        await client.close_session("s1")
        assert [each async for each in session] == []

    assert (listed.id, listed.state, got.id) == ("s1", SessionState.ACTIVE, "s1")
    for ask in (client.get_session, client.close_session):
        with pytest.raises(SessionNotFound):
            await ask("s1")


async def test_session_is_listed_and_closed_without_a_loop(backend: StreamBackend) -> None:
    def program(client: Client) -> list[Any]:
        with client.session(session_id="s1") as session:
            seen = [each.id for each in client.sessions()] + [client.get_session("s1").id]
            client.close_session("s1")
            return seen + list(session) + list(client.sessions())

    assert await in_thread(backend, program) == ["s1", "s1"]


async def test_service_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    target = f"unix:{tmp_path}/nobody.sock"
    async with AsyncClient(target) as lonely:
        with pytest.raises(Unavailable):
            await AsyncLiveSession.__aenter__(lonely.session())
    with Client(target) as alone, pytest.raises(Unavailable):
        LiveSession.__enter__(alone.session())
