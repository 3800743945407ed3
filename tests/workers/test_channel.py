"""Frames arrive as they were sent, and noise is told from them."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from telefuser_grpc.domain.artifact import MediaFacts, OutputFile
from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.job import RunReport
from telefuser_grpc.domain.task import Preview, Progress
from telefuser_grpc.workers.channel import (
    FRAME_LIMIT_BYTES,
    MSGPACK,
    BlockingChannel,
    ProtocolError,
    ReplicaChannel,
    ServerChannel,
)
from telefuser_grpc.workers.messages import (
    Cancel,
    Failed,
    Finished,
    FromReplica,
    FromServer,
    Load,
    LoadFailed,
    Ping,
    Pong,
    Previewed,
    Ready,
    Rendered,
    RunJob,
    Shutdown,
    Stepped,
    Stopped,
)
from tests.workers.local_pool import make_job

CONTRACT = PipelineContract.parse(
    {
        "supported_tasks": ["t2v", "t2i"],
        "task_contracts": {"t2v": {"parameters": {"seed": {"default": 2**70, "minimum": 0}}}},
    },
    stem="any",
)
FILE = OutputFile(
    path="/scratch/a.png",
    name="a.png",
    size_bytes=1,
    sha256="0" * 64,
    facts=MediaFacts(content_type="image/png", width=8, height=8, frame_count=1),
)


@pytest.mark.parametrize(
    "frame",
    [
        Load(pipeline="p.py", task=None, parallelism=2, preview_interval_seconds=0.5, warmup=True),
        RunJob(make_job(seed=2**80 + 1, nested={"list": [1, 2.5, None, "ü"]})),
        Cancel("task_1", 2),
        Ping(),
        Shutdown(),
    ],
    ids=lambda frame: type(frame).__name__,
)
async def test_a_frame_of_the_server_arrives_unchanged(frame: FromServer) -> None:
    async with _channel() as (server, replica):
        server.send(frame)

        assert replica.receive() == frame


@pytest.mark.parametrize(
    "frame",
    [
        Ready(CONTRACT),
        LoadFailed("no weights"),
        Pong(),
        Stepped("task_1", 1, Progress(step=1, steps=4, remaining_seconds=0.25)),
        Previewed("task_1", 1, Preview(step=1, image=bytes(range(256)))),
        Rendered("task_1", 1, RunReport(inference_seconds=1.5, peak_memory_mib=None)),
        Finished("task_1", 1, (FILE,)),
        Failed("task_1", 1, "OUT_OF_MEMORY", "too large"),
        Stopped("task_1", 1),
    ],
    ids=lambda frame: type(frame).__name__,
)
async def test_a_frame_of_a_replica_arrives_unchanged(frame: FromReplica) -> None:
    async with _channel() as (server, replica):
        replica.send(frame)

        assert await server.receive() == frame


async def test_threads_do_not_mix_their_frames() -> None:
    async with _channel() as (server, replica):
        threads = [
            threading.Thread(target=_send_many, args=(replica, str(name))) for name in range(4)
        ]
        for thread in threads:
            thread.start()
        frames = [await server.receive() for _ in range(400)]

    for name in range(4):
        steps = [
            each.progress.step
            for each in frames
            if isinstance(each, Stepped) and each.task_id == str(name)
        ]
        assert steps == list(range(100))


async def test_the_end_of_either_side_is_the_end_of_file() -> None:
    async with _channel() as (server, replica):
        server.close()
        assert await asyncio.to_thread(replica.receive) is None

    async with _channel() as (server, replica):
        replica.close()
        assert await server.receive() is None


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00\x00\x00\x05noise",
        b'\x00\x00\x00\x12{"type":"Unknown"}',
        b'\x00\x00\x00\x13{"type":"Shutdown"}',
        b'\x00\x00\x00\x10{"type":"Ready"}',
        (FRAME_LIMIT_BYTES + 1).to_bytes(4, "big"),
    ],
)
async def test_what_is_no_frame_is_refused(noise: bytes) -> None:
    ours, theirs = socket.socketpair()
    server = await ServerChannel.open(ours)
    with theirs:
        theirs.sendall(noise)

        with pytest.raises(ProtocolError):
            await server.receive()
    server.close()


async def test_half_a_frame_is_the_end_of_file() -> None:
    ours, theirs = socket.socketpair()
    server = await ServerChannel.open(ours)
    with theirs:
        theirs.sendall(b"\x00\x00\x00\x05noi")

    assert await server.receive() is None
    server.close()


async def test_bytes_travel_as_they_are_where_frames_are_packed_so() -> None:
    ours, theirs = socket.socketpair()
    server = await ServerChannel.open(ours, bytes | int, MSGPACK)
    replica: BlockingChannel[bytes, bytes] = BlockingChannel(theirs, bytes | int, MSGPACK)
    large = bytes(range(256)) * 2**14
    sending = asyncio.create_task(asyncio.to_thread(replica.send, large))

    assert await server.receive() == large
    await sending
    server.send(b"\xff\x00")
    assert await asyncio.to_thread(replica.receive) == b"\xff\x00"
    server.close()
    replica.close()


def _send_many(replica: ReplicaChannel, name: str) -> None:
    for step in range(100):
        replica.send(Stepped(name, 1, Progress(step=step, steps=100)))


@asynccontextmanager
async def _channel() -> AsyncIterator[tuple[ServerChannel, ReplicaChannel]]:
    ours, theirs = socket.socketpair()
    server, replica = await ServerChannel.open(ours), ReplicaChannel(theirs)
    try:
        yield server, replica
    finally:
        server.close()
        replica.close()
