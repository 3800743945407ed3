"""Many transfers at once whose callers go away, or do not go on."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from telefuser_grpc._gen.telefuser.v1 import artifact_service_pb2, artifact_service_pb2_grpc
from tests.abuse.conftest import make, write_clip
from tests.abuse.usage import ENVOY, SERVER, files, holders, usage
from tests.fakes.inotify import Happening, Watch
from tests.fakes.service import PATIENCE_SECONDS, Service

CALLERS = 50
CROWDS = 6
CHUNK = b"\0" * 2**19
SENT = CHUNK * 3  # of a file of twice the size; the first mebibyte goes to the disk
CLIP_BYTES = 64 * 2**20  # more than the buffers of a connection hold
GROWTH_MEBIBYTES = {SERVER: 56, ENVOY: 80}  # what a crowd may need beyond the one before it
LINGERING = 8  # descriptors of connections that are just being closed
RESET = struct.pack("ii", 1, 0)
FORM = (
    b"POST /v1/tasks/form HTTP/1.1\r\nHost: g\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Content-Length: %d\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="ref_video_file"; filename="a"\r\n\r\n'
) % (2 * len(SENT))
DOWNLOAD = b"GET /v1/files/download/%s HTTP/1.1\r\nHost: g\r\n\r\n"
SENT_BY_GATEWAY, SENT_BY_SERVER = "broken off.mp4", "broken off?.mp4"  # Envoy cuts names at `?`


@pytest.fixture(scope="module")
def films(service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Large films by their names."""
    clip = tmp_path_factory.mktemp("broken_off") / "clip.mp4"
    write_clip(clip, CLIP_BYTES)
    for name in (SENT_BY_GATEWAY, SENT_BY_SERVER):
        make(service, task="file", clip=str(clip), output_path=name)
    return {path.name: path for path in service.cache.rglob("broken off*.mp4")}


@pytest.fixture
def uploads(service: Service) -> Path:
    """Where files lie that are on their way."""
    folder = service.cache / "uploads"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def nothing_stays(service: Service) -> Iterator[None]:
    stored, before = files(service), usage(service)
    yield
    after = usage(service)
    for name, bound in GROWTH_MEBIBYTES.items():
        assert after[name].resident - before[name].resident < bound, (before, after)
        assert after[name].descriptors - before[name].descriptors < LINGERING, (before, after)
    assert files(service) == stored
    assert make(service, task="t2v") == "completed"


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
def test_forms_whose_senders_go_leave_nothing(
    service: Service, uploads: Path, *, is_reset: bool
) -> None:
    def come_and_go() -> None:
        with Watch(uploads, Happening.CREATE | Happening.DELETE) as watch:
            with ExitStack() as stack:
                for _ in range(CALLERS):
                    connect(service, stack, is_reset=is_reset).sendall(FORM + SENT)
                watch.until(lambda: count(uploads) == CALLERS)
            watch.until(lambda: count(uploads) == 0)

    come_and_go()
    with nothing_stays(service):
        for _ in range(CROWDS):
            come_and_go()


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("name", [SENT_BY_GATEWAY, SENT_BY_SERVER])
def test_downloads_that_nobody_reads_to_the_end_are_closed(
    service: Service, films: dict[str, Path], name: str, *, is_reset: bool
) -> None:
    def come_and_go() -> Counter[bytes]:
        with Watch(films[name], Happening.OPEN | Happening.CLOSE_READ) as watch:
            with ExitStack() as stack:
                connections = [connect(service, stack, is_reset=is_reset) for _ in range(CALLERS)]
                for connection in connections:
                    connection.sendall(DOWNLOAD % quoted(name))
                heads = Counter(connection.recv(12) for connection in connections)
                assert holders(service, films[name]) == CALLERS
            watch.until(lambda: holders(service, films[name]) == 0)
        return heads

    come_and_go()
    with nothing_stays(service):
        heads = come_and_go()

    assert heads == {b"HTTP/1.1 200": CALLERS}


def connect(service: Service, stack: ExitStack, *, is_reset: bool) -> socket.socket:
    """Connects; the stack hangs up, or resets the connection."""
    address = ("127.0.0.1", service.port)
    connection = socket.create_connection(address, timeout=PATIENCE_SECONDS)
    if is_reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return stack.enter_context(connection)


def count(folder: Path) -> int:
    return len(list(folder.iterdir()))


def quoted(name: str) -> bytes:
    return name.replace(" ", "%20").replace("?", "%3F").encode()


async def test_native_uploads_that_are_cancelled_leave_nothing(
    service: Service, uploads: Path
) -> None:
    async def come_and_go() -> None:
        async with grpc.aio.insecure_channel(service.target) as channel:
            stub = artifact_service_pb2_grpc.ArtifactServiceStub(channel)
            with Watch(uploads, Happening.CREATE | Happening.DELETE) as watch:
                calls = [stub.UploadInput(endless()) for _ in range(CALLERS)]
                await seen(watch, lambda: count(uploads) == CALLERS)
                for call in calls:
                    call.cancel()
                await seen(watch, lambda: count(uploads) == 0)

    await come_and_go()
    with nothing_stays(service):
        for _ in range(CROWDS):
            await come_and_go()


async def endless() -> AsyncIterator[artifact_service_pb2.UploadInputRequest]:
    """An upload that never comes to its end."""
    yield artifact_service_pb2.UploadInputRequest(metadata={"filename": "a.mp4"})
    for _ in range(3):
        yield artifact_service_pb2.UploadInputRequest(chunk=CHUNK)
    await asyncio.Event().wait()


async def test_native_downloads_that_are_cancelled_are_closed(
    service: Service, films: dict[str, Path]
) -> None:
    film = films[SENT_BY_GATEWAY]

    async def come_and_go() -> None:
        with Watch(film, Happening.OPEN | Happening.CLOSE_READ) as watch:
            async with stalled_downloads(service, film.name) as calls:
                assert holders(service, film) == CALLERS
                for call in calls:
                    call.cancel()
                await seen(watch, lambda: holders(service, film) == 0)

    await come_and_go()
    with nothing_stays(service):
        for _ in range(CROWDS):
            await come_and_go()


async def test_callers_who_do_not_read_hold_up_nobody_else(
    service: Service, films: dict[str, Path]
) -> None:
    async with stalled_downloads(service, films[SENT_BY_GATEWAY].name):
        state = await asyncio.to_thread(make, service, task="t2v")

    assert state == "completed"


@asynccontextmanager
async def stalled_downloads(service: Service, name: str) -> AsyncIterator[list[Any]]:
    """Downloads of which each has begun, and goes no further."""
    request = artifact_service_pb2.DownloadArtifactRequest(artifact_id=name)
    async with grpc.aio.insecure_channel(service.target) as channel:
        stub = artifact_service_pb2_grpc.ArtifactServiceStub(channel)
        calls = [stub.DownloadArtifact(request) for _ in range(CALLERS)]
        for call in calls:
            described, first = await call.read(), await call.read()
            assert described.artifact.size_bytes == CLIP_BYTES
            assert first.chunk
        yield calls


async def seen(watch: Watch, is_so: Callable[[], bool]) -> None:
    await asyncio.to_thread(watch.until, is_so)
