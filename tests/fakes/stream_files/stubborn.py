"""Blocks wherever it can: pushes read the pipe that they name, and chunks wait on a plain queue."""

import asyncio
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Stubborn:
    def __init__(self) -> None:
        self.queues: dict[str, queue.Queue[Any]] = {}

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def create_session(self, config: dict[str, Any]) -> str:
        asyncio.get_event_loop()
        self.queues[config["session_id"]] = queue.Queue()
        return config["session_id"]

    def push_chunk(self, session_id: str, chunk: dict[str, Any]) -> None:
        if path := chunk.get("wait"):
            Path(path).read_text()
        self.queues[session_id].put(chunk)

    def pull_chunks(self, session_id: str) -> Iterator[dict[str, Any]]:
        chunks = self.queues[session_id]
        while (told := chunks.get()) is not None:
            yield {"type": "chunk", "told": told}

    def close_session(self, session_id: str) -> None:
        self.queues.pop(session_id).put(None)


def get_service() -> Stubborn:
    return Stubborn()
