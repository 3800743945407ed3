"""A stream that answers each control with a chunk: as many plain frames as it asks for."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np


class Echo:
    """Answers in order; `frames` of a control says how many, each 832 by 480."""

    default_fps = 16

    def __init__(self) -> None:
        self._told: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._frame = np.random.default_rng(0).integers(0, 255, (480, 832, 3), np.uint8)
        self._frame[:, 200:] = 90  # a quarter of noise: neither the best nor the worst of cases

    def start(self) -> None:
        """Needs nothing."""

    def stop(self) -> None:
        """Holds nothing."""

    def create_session(self, config: dict[str, Any]) -> str:
        """Begins a session."""
        self._told[config["session_id"]] = asyncio.Queue()
        return str(config["session_id"])

    def push_chunk(self, session_id: str, chunk: dict[str, Any]) -> None:
        """Takes a control."""
        self._told[session_id].put_nowait(chunk)

    async def pull_chunks(self, session_id: str) -> AsyncGenerator[dict[str, Any], None]:
        """Answers."""
        index = 0
        while True:
            told = await self._told[session_id].get()
            frames = [self._frame] * told.get("frames", 0)
            yield {"type": "chunk", "index": index, "fps": 16, "frames": frames}
            index += 1

    def close_session(self, session_id: str) -> None:
        """Ends a session."""
        del self._told[session_id]


def get_service() -> Echo:
    """Returns the service."""
    return Echo()
