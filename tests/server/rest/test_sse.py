"""A task's events as server-sent events."""

import asyncio
import base64
import json
from typing import Any
from unittest.mock import Mock

import grpc
import pytest

from telefuser_grpc._gen.telefuser.rest.v1 import rest_task_service_pb2 as pb
from telefuser_grpc.domain.task import Preview
from telefuser_grpc.errors import PipelineFailed
from telefuser_grpc.server.rest import sse
from telefuser_grpc.server.rest.tasks import RestTaskServicer
from tests.fakes.replicas import Script
from tests.server.backend import COMPLETES, Backend
from tests.server.rest.gateway import Answer, Gateway, transcoded

TIME = "2026-01-02T03:04:05.678Z"
PICTURE = Script(steps=1, previews=frozenset({1}))


async def test_stream_opens_at_once(backend: Backend, gateway: Gateway) -> None:
    await backend.create("t1")
    call = _open(gateway, "t1", after_sequence=99)

    first = (await call.read()).body

    assert first.content_type == "text/event-stream"
    assert first.data == b"retry: 1000\n\n"
    call.cancel()


async def test_frames_have_id_event_and_data(backend: Backend, gateway: Gateway) -> None:
    await backend.run_to_end("t1", Script(steps=1))

    _, *frames = (await _read(gateway, "t1")).body.split(b"\n\n")

    assert frames[0] == (
        b'id: 1\nevent: state\ndata: {"task_id":"t1","sequence":1,"time":"'
        + TIME.encode()
        + b'","attempt":0,"status":"pending","error":null,"artifacts":[]}'
    )
    assert _parsed(frames[2]) == (
        "3",
        "progress",
        {
            "task_id": "t1",
            "sequence": 3,
            "time": TIME,
            "attempt": 1,
            "step": 1,
            "steps": 1,
            "stage": "denoising",
            "remaining_seconds": None,
        },
    )
    _, name, last = _parsed(frames[3])
    assert (name, last["status"]) == ("state", "completed")
    assert last["artifacts"][0]["url"] == "/v1/files/download/tasks/t1/outputs/videos/t1.mp4"
    assert frames[4:] == [b""]


async def test_url_of_an_artifact_is_quoted(backend: Backend, gateway: Gateway) -> None:
    await backend.run_to_end("t1", parameters={"output_path": "a b/球#1?.mp4"})

    body = (await _read(gateway, "t1")).body

    *_, last = [_parsed(frame) for frame in body.split(b"\n\n")[1:-1]]
    expected = "/v1/files/download/tasks/t1/outputs/videos/a%20b/%E7%90%83%231%3F.mp4"
    assert last[2]["artifacts"][0]["url"] == expected


async def test_failure_has_reason_and_message(backend: Backend, gateway: Gateway) -> None:
    await backend.run_to_end("t1", Script(steps=0, error=PipelineFailed("a\nb\r\n\r\nc")))

    body = (await _read(gateway, "t1")).body

    *_, last = [_parsed(frame) for frame in body.split(b"\n\n")[1:-1]]
    assert last[2]["error"] == {"reason": "PIPELINE_FAILED", "message": "a\nb\r\n\r\nc"}


async def test_previews_come_on_demand_only(backend: Backend, gateway: Gateway) -> None:
    await backend.run_to_end("t1", PICTURE)

    without = await _read(gateway, "t1")
    with_previews = await _read(gateway, "t1", previews=True)

    assert b"event: preview" not in without.body
    preview = _parsed(with_previews.body.split(b"\n\n")[4])
    assert preview[:2] == ("4", "preview")
    assert base64.b64decode(preview[2]["image"]) == b"jpeg"
    assert (preview[2]["step"], preview[2]["content_type"]) == (1, "image/jpeg")


async def test_resumes_after_a_sequence(backend: Backend, gateway: Gateway) -> None:
    await backend.run_to_end("t1", COMPLETES)

    assert _ids(await _read(gateway, "t1", after_sequence=5)) == [6, 7]
    assert _ids(await _read(gateway, "t1", after_sequence=7)) == []


async def test_last_event_id_wins(backend: Backend, gateway: Gateway) -> None:
    await backend.run_to_end("t1", COMPLETES)

    answer = await _read(gateway, "t1", after_sequence=1, headers={"last-event-id": "6"})

    assert _ids(answer) == [7]


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 19, "1 2"])
async def test_bad_last_event_id_is_refused(backend: Backend, gateway: Gateway, last: str) -> None:
    await backend.create("t1")

    answer = await _read(gateway, "t1", headers={"last-event-id": last})

    assert answer.status == 422
    assert answer.faults == [(["header", "Last-Event-ID"], "int_parsing")]


async def test_unknown_id_is_404_before_anything_is_sent(gateway: Gateway) -> None:
    answer = await _read(gateway, "none")

    assert (answer.status, answer.json) == (404, {"detail": "Task not found"})
    with pytest.raises(grpc.aio.AioRpcError):
        await anext(aiter(_open(gateway, "none")))


async def test_quiet_stream_has_heartbeats(
    backend: Backend, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.01)
    gate = asyncio.Event()
    backend.pool.script = Script(gates={0: gate})
    await backend.create("t1")
    frames = aiter(_open(gateway, "t1", after_sequence=2))

    quiet = [(await anext(frames)).body.data for _ in range(3)]
    gate.set()
    rest = b"".join([each.body.data async for each in frames])

    assert quiet == [b"retry: 1000\n\n", b": heartbeat\n\n", b": heartbeat\n\n"]
    assert b"id: 3\n" in rest
    assert b'"status":"completed"' in rest


async def test_stream_that_ends_at_a_heartbeat_closes_its_watch(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.01)
    await backend.create("t1")
    use = backend.use_cases
    servicer = RestTaskServicer(tasks=use.tasks, admission=use.admission, uploads=use.uploads)
    request = pb.StreamTaskEventsRequest(task_id="t1", after_sequence=99)
    stream: Any = servicer.StreamTaskEvents(request, Mock(invocation_metadata=tuple))
    opening_and_heartbeat = [await anext(stream), await anext(stream)]

    await stream.aclose()

    assert opening_and_heartbeat[1].body.data == sse.HEARTBEAT
    assert backend.tasks.closed.get_nowait() == "t1"


async def test_watch_is_closed_when_a_waiting_reader_goes(
    backend: Backend, gateway: Gateway
) -> None:
    await backend.create("t1")
    call = _open(gateway, "t1")
    await call.read()

    call.cancel()

    assert await backend.tasks.closed.get() == "t1"


async def test_watch_is_closed_when_a_reader_goes_that_did_not_keep_up(
    backend: Backend, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    await backend.create("t1")
    await backend.started("t1")
    for step in range(200):
        backend.tasks.append("t1", 1, Preview(step=step, image=bytes(64 * 1024)))
    call = _open(gateway, "t1", previews=True)
    await call.read()

    call.cancel()

    assert await backend.tasks.closed.get() == "t1"
    assert caplog.records == []


def _open(
    gateway: Gateway, task_id: str, headers: dict[str, str] | None = None, **options: Any
) -> Any:
    request = pb.StreamTaskEventsRequest(task_id=task_id, **options)
    return gateway.tasks.StreamTaskEvents(request, metadata=transcoded(**(headers or {})))


async def _read(
    gateway: Gateway, task_id: str, headers: dict[str, str] | None = None, **options: Any
) -> Answer:
    request = pb.StreamTaskEventsRequest(task_id=task_id, **options)
    return await gateway.ask(gateway.tasks.StreamTaskEvents, request, **(headers or {}))


def _ids(answer: Answer) -> list[int]:
    return [int(_parsed(frame)[0]) for frame in answer.body.split(b"\n\n")[1:-1]]


def _parsed(frame: bytes) -> tuple[str, str, Any]:
    number, name, data = (line.partition(": ")[2] for line in frame.decode().split("\n"))
    return number, name, json.loads(data)
