"""Builds hosts of real processes on the tiny stream files, and the pipes that hold them up."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from telefuser_grpc.domain.replica import ReplicaState
from telefuser_grpc.domain.session import Chunk
from telefuser_grpc.workers.streams.host import LocalStreamHost

FILES = Path(__file__).parents[2] / "fakes" / "stream_files"


def stream_host(name: str, **options: Any) -> LocalStreamHost:
    """Returns a host of `tests/fakes/stream_files/<name>.py`, on the CPU."""
    defaults = {
        "devices": (),
        "gpu_num": 1,
        "start_timeout_seconds": 60.0,
        "stop_grace_seconds": 5.0,
    }
    return LocalStreamHost(FILES / f"{name}.py", **(defaults | options))


def pipe(folder: Path) -> Path:
    """Makes a pipe, which a pipeline reads to wait for the test."""
    path = folder / "pipe"
    os.mkfifo(path)
    return path


async def release(path: Path) -> None:
    """Waits until a pipeline reads a pipe, and lets it go on."""
    await asyncio.to_thread(path.write_text, "go")


async def collect(chunks: AsyncGenerator[Chunk, None]) -> list[Chunk]:
    """Returns all chunks."""
    async with aclosing(chunks):
        return [chunk async for chunk in chunks]


async def until_dead(host: LocalStreamHost) -> None:
    """Waits until the process is known to be dead."""
    async with aclosing(host.changes()) as changes:
        async for _ in changes:
            if host.status().state is ReplicaState.DEAD:
                return
