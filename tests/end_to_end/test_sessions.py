"""Live sessions through the whole service: Envoy, the server, and the process that generates."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format

from telefuser_grpc._gen.telefuser.v1 import session_service_pb2 as pb
from telefuser_grpc._gen.telefuser.v1 import session_service_pb2_grpc
from tests.fakes.service import StreamService
from tests.fakes.webrtc_client import WebRtcClient, webrtc_client

FILES = Path(__file__).parents[1] / "fakes" / "stream_files"
SIZE = (64, 48)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamService]:
    """A service that echoes."""
    with _service(FILES / "talk.py", tmp_path_factory.mktemp("talk")) as service:
        yield service


@pytest.fixture(scope="module")
def push(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamService]:
    """A service that speaks alone."""
    with _service(FILES / "push.py", tmp_path_factory.mktemp("push")) as service:
        yield service


async def test_program_opens_steers_and_watches_a_session_in_one_call(talk: StreamService) -> None:
    async with _interact(talk) as call:
        await _open(call, session_id="walk")
        opened = await call.read()
        await call.write(pb.InteractRequest(control=_struct({"key": "w", "count": 3})))
        told = await call.read()
        await call.write(pb.InteractRequest(pictures=_white()))
        seen = await call.read()
        await call.write(pb.InteractRequest(control=_struct({"do": "end"})))
        done = await call.read()
        end = await call.read()

    assert (opened.opened.session.id, opened.opened.session.transport) == ("walk", "grpc")
    assert json_format.MessageToDict(told.chunk.data)["told"] == {"key": "w", "count": 3}
    (picture,) = seen.chunk.pictures.pictures
    assert (picture.width, picture.height) == SIZE
    assert picture.content == bytes(3 * SIZE[0] * SIZE[1])
    assert (done.done.chunks, end) == (1, grpc.aio.EOF)


async def test_browser_offers_over_rest_then_sees_and_talks(talk: StreamService) -> None:
    async with _http(talk) as http, webrtc_client(camera=True) as client:
        answer = await _offer(http, client, session_id="browser", task="talk")
        await client.speaks()
        client.say({"key": "d"})
        while "told" not in (heard := await client.hear())["data"]:
            pass  # what the camera saw came before
        await client.sees(8)
        status = await http.get("/v1/stream/sessions/browser/status")
        service = await http.get("/v1/service/status")
        closed = await http.delete("/v1/stream/webrtc/browser")
        gone = await http.delete("/v1/stream/webrtc/browser")

    assert (answer["session_id"], answer["type"]) == ("browser", "answer")
    assert (heard["type"], heard["session_id"], heard["error"]) == ("chunk", "browser", None)
    assert heard["data"]["told"] == {"key": "d"}
    expected = {"session_id": "browser", "status": "active", "stream_mode": "bidirectional"}
    assert status.json() == expected
    assert (service.json()["service_status"], service.json()["active_tasks"]) == (
        "active",
        ["browser"],
    )
    assert closed.json() == {"session_id": "browser", "status": "closed"}
    assert (gone.status_code, gone.json()) == (
        404,
        {"detail": "WebRTC session browser not found"},
    )


async def test_pushed_video_reaches_a_browser_without_a_channel(push: StreamService) -> None:
    async with _http(push) as http, webrtc_client(label=None, audio=True) as client:
        await _offer(http, client, task="push", chunks=3, frames=8, width=320, height=192)
        pictures = await client.sees(16)
        sounds = await client.hears_sound(1)

    assert (pictures[-1].width, pictures[-1].height) == (320, 192)
    assert sounds[0].sample_rate == 48_000


async def test_death_of_the_process_ends_its_sessions_and_not_the_service(
    talk: StreamService,
) -> None:
    async with _interact(talk) as call:
        await _open(call)
        await call.read()
        await call.write(pb.InteractRequest(control=_struct({"do": "die"})))
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call.read()
    talk.log.wait_for("stream process started", count=2)
    async with _http(talk) as http:
        await _until_ready(http)
    async with _interact(talk) as call:
        await _open(call)
        again = await call.read()

    assert failure.value.code() is grpc.StatusCode.ABORTED
    assert "died" in failure.value.details()
    assert again.opened.session.id


async def test_process_does_not_outlive_a_killed_server(tmp_path: Path) -> None:
    with _service(FILES / "talk.py", tmp_path) as service:
        pid = service.log.events("stream process started")[0]["pid"]
        async with _interact(service) as call:
            await _open(call)
            await call.read()
            descriptor = os.pidfd_open(pid)
            await asyncio.to_thread(service.kill)
        await _until_dead(descriptor)
        service.start()
        async with _interact(service) as call:
            await _open(call)
            opened = await call.read()

    assert opened.opened.session.id


async def test_stop_closes_what_is_open_and_lets_the_pipeline_clean_up(tmp_path: Path) -> None:
    log = tmp_path / "closed"
    with _service(FILES / "talk.py", tmp_path) as service:
        async with _interact(service) as call:
            await _open(call, session_id="walk", log=str(log))
            await call.read()
            service.signal(signal.SIGTERM)
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await call.read()
        code = await asyncio.to_thread(service.exit_code)

    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    assert (code, log.read_text()) == (0, "closed walk\n")


async def test_paths_of_tasks_are_not_there(talk: StreamService) -> None:
    async with _http(talk) as http:
        created = await http.post("/v1/tasks/create", json={"task": "t2v"})
        videos = await http.get("/v1/videos")
        page = await http.get("/docs/assets/session.html")
        document = await http.get("/openapi.json")

    assert (created.status_code, created.json()) == (404, {"detail": "Not Found"})
    assert videos.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    paths = document.json()["paths"]
    assert "/v1/stream/webrtc/offer" in paths
    assert not [path for path in paths if path.startswith("/v1/tasks")]


async def test_another_callers_session_does_not_exist(tmp_path: Path) -> None:
    keys = "ann:" + "a" * 32 + ",bob:" + "b" * 32
    ann, bob = ({"authorization": f"Bearer {letter * 32}"} for letter in "ab")
    with _service(FILES / "talk.py", tmp_path, api_keys=keys) as service:
        async with _interact(service, **ann) as call, _http(service) as http:
            await _open(call, session_id="walk")
            await call.read()
            path = "/v1/stream/sessions/walk/status"
            own = await http.get(path, headers=ann)
            others = await http.get(path, headers=bob)
            nobody = await http.get(path)

    assert own.json()["status"] == "active"
    assert others.json() == {"session_id": "walk", "status": "unknown"}
    assert nobody.status_code == 401


async def test_revoked_key_ends_the_sessions_of_browsers(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text(f"ann: {'a' * 32}\nbob: {'b' * 32}\n")
    keys.chmod(0o600)
    ann = {"authorization": f"Bearer {'a' * 32}"}
    with _service(FILES / "talk.py", tmp_path, api_keys_file=keys) as service:
        async with _http(service, **ann) as http, webrtc_client() as client:
            await _offer(http, client, task="talk")
            await client.speaks()
            keys.write_text(f"bob: {'b' * 32}\n")
            told, done = await client.hear(), await client.hear()

    assert "revoked" in told["error"]
    assert done["type"] == "done"


def test_file_without_a_service_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    service = StreamService(FILES / "none.py", tmp_path)
    service.launch()
    code = service.exit_code()
    service.log.close()

    assert code == 1
    assert "the pipeline cannot be loaded" in service.log.text
    assert "get_service" in service.log.text


def _service(file: Path, folder: Path, **settings: object) -> StreamService:
    return StreamService(file, folder, stun_servers="[]", host="127.0.0.1", **settings)


@asynccontextmanager
async def _interact(service: StreamService, **metadata: str) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(service.target) as channel:
        stub = session_service_pb2_grpc.SessionServiceStub(channel)
        call = stub.Interact(metadata=tuple(metadata.items()))
        yield call
        call.cancel()


async def _open(call: Any, *, session_id: str = "", **config: Any) -> None:
    opening = pb.SessionOpening(
        session_id=session_id,
        config=_struct(config),
        picture_format=pb.PICTURE_FORMAT_RGB,
    )
    await call.write(pb.InteractRequest(open=opening))


async def _offer(http: httpx.AsyncClient, client: WebRtcClient, **fields: Any) -> dict[str, Any]:
    answer = await http.post("/v1/stream/webrtc/offer", json={"sdp": await client.offer()} | fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    await client.accept(body["sdp"])
    return body


def _http(service: StreamService, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://{service.target}", timeout=30, trust_env=False, headers=headers
    )


def _struct(fields: dict[str, Any]) -> Any:
    return json_format.Parse(json.dumps(fields), pb.SessionOpening().config)


def _white() -> pb.SessionPictures:
    width, height = SIZE
    picture = pb.SessionPicture(
        width=width,
        height=height,
        content=b"\xff" * (3 * width * height),
        format=pb.PICTURE_FORMAT_RGB,
    )
    return pb.SessionPictures(pictures=[picture], fps=16)


async def _until_ready(http: httpx.AsyncClient) -> None:
    while (await http.get("/v1/service/ready")).status_code != 200:
        pass


async def _until_dead(descriptor: int) -> None:
    dead = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, dead.set)
    await dead.wait()
    loop.remove_reader(descriptor)
    os.close(descriptor)
