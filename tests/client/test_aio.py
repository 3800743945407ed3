"""The client with an event loop: what differs from its twin is the waiting."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telefuser_grpc._gen.telefuser.v1 import task_pb2
from telefuser_grpc.client import AsyncClient, Queue, TaskTimeoutError
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import ChecksumMismatch, QueueFull, TaskNotFound, Unavailable
from tests.fakes.server import (
    VIDEO,
    FakeServer,
    completed_script,
    lost_connection,
    progress_event,
    state_event,
)


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.target, timeout_seconds=10, reconnect_seconds=10) as connected:
        yield connected


async def test_create_is_repeated_with_the_same_request_id(
    server: FakeServer, client: AsyncClient
) -> None:
    server.failures["CreateTask"] = [lost_connection()]

    task = await client.create("t2v", "a red circle", inputs={"audio_path": b"a" * 600_000})

    ids = {each.request_id for each in server.requests["CreateTask"]}
    assert (task.id, len(ids)) == ("task_1", 1)
    assert len(server.requests["CreateTask"]) == 2
    assert server.uploads == {"upload_1": b"a" * 600_000}


async def test_watch_takes_up_a_broken_stream_after_the_last_event(
    server: FakeServer, client: AsyncClient
) -> None:
    server.add_task("task_1", completed_script(steps=5))
    server.cuts = [3, 0]

    sequences = [each.sequence async for each in client.watch("task_1")]

    assert sequences == list(range(1, 9))
    assert [each.after_sequence for each in server.requests["WatchTask"]] == [0, 3, 3]


async def test_watch_takes_up_a_stream_that_ends_before_its_task(
    server: FakeServer, client: AsyncClient
) -> None:
    server.add_task("task_1", completed_script(steps=2))
    server.cuts = [2]
    server.breaks_quietly = True

    sequences = [each.sequence async for each in client.watch("task_1")]

    assert sequences == [1, 2, 3, 4, 5]


async def test_wait_within_a_limit_is_over_when_its_time_is(
    server: FakeServer, client: AsyncClient
) -> None:
    server.add_task("task_1")

    with pytest.raises(TaskTimeoutError, match=r"within 0\.2 s"):
        await client.within(0.2).wait("task_1")


async def test_upload_is_repeated_when_the_service_is_away_for_a_moment(
    server: FakeServer, client: AsyncClient
) -> None:
    server.failures["UploadInput"] = [lost_connection()]

    await client.upload(b"p" * 300_000)

    assert server.uploads == {"upload_1": b"p" * 300_000}


async def test_cancelled_watcher_ends_its_call(server: FakeServer, client: AsyncClient) -> None:
    server.add_task("task_1")
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def watch() -> None:
        async for event in client.watch("task_1"):
            seen.put_nowait(event.sequence)

    watcher = asyncio.create_task(watch())
    await seen.get()
    watcher.cancel()

    with pytest.raises(asyncio.CancelledError):
        await watcher
    server.emit("task_1", progress_event(1, 2))
    assert seen.empty()


async def test_wait_returns_the_ended_task(server: FakeServer, client: AsyncClient) -> None:
    server.add_task("task_1")
    waiting = asyncio.create_task(client.wait("task_1"))

    server.emit("task_1", state_event(task_pb2.TASK_STATE_CANCELLED))
    task = await waiting

    assert task.state is TaskState.CANCELLED
    assert server.requests["WatchTask"][0].omit_previews


async def test_download_continues_what_a_broken_stream_has_left(
    server: FakeServer, client: AsyncClient, tmp_path: Path
) -> None:
    server.add_artifact("task_1", "video.mp4", VIDEO)
    server.cuts = [3]

    path = await client.download("video.mp4", tmp_path)

    assert path.read_bytes() == VIDEO
    assert [each.offset for each in server.requests["DownloadArtifact"]] == [0, 200_000]


async def test_download_of_wrong_bytes_leaves_nothing(
    server: FakeServer, client: AsyncClient, tmp_path: Path
) -> None:
    server.add_artifact("task_1", "video.mp4", VIDEO, sha256="0" * 64)

    with pytest.raises(ChecksumMismatch):
        await client.download("video.mp4", tmp_path)

    assert _names(tmp_path) == []


async def test_every_other_call_answers_with_domain_values(
    server: FakeServer, client: AsyncClient
) -> None:
    for number in range(3):
        server.add_task(f"task_{number}")

    listed = [each.id async for each in client.list(page_size=2)]
    cancelled = await client.cancel("task_0")
    await client.delete("task_0")
    queue = await client.queue()
    metadata = await client.metadata()

    assert listed == ["task_2", "task_1", "task_0"]
    assert cancelled.state is TaskState.CANCELLED
    assert [each.task_id for each in queue.waiting] == ["task_1", "task_2"]
    assert [each async for each in _first(client.watch_queue())] == [queue]
    assert metadata.contract.pipeline_name == "moving_shapes"
    assert (await client.status()).queue_limit == 10
    assert (await client.ready()).is_ready


async def test_errors_are_the_classes_of_the_service(
    server: FakeServer, client: AsyncClient
) -> None:
    server.failures["CreateTask"] = [QueueFull(10)]

    with pytest.raises(QueueFull) as caught:
        await client.create("t2v", "a red circle")
    with pytest.raises(TaskNotFound):
        await client.get("task_9")

    assert caught.value.retry_after_seconds == 5


async def test_nobody_at_the_address_is_unavailable(server: FakeServer) -> None:
    server.stop()

    async with AsyncClient(server.target) as client:
        with pytest.raises(Unavailable, match="telefuser serve"):
            await client.queue()
    server.start()


async def _first(items: AsyncIterator[Queue]) -> AsyncIterator[Queue]:
    async for item in items:
        yield item
        return


def _names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]
