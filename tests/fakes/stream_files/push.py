"""Pushes chunks of one colour each, and does on the way what the request says.

chunks, frames, width, height   how much is made; `fps` is passed on
wait                            a pipe that is opened and read inside of every chunk
log                             a file that gets a line for each chunk, and one for the end
die, fail, break                the index at which the process dies, the pipeline raises, or a
                                chunk is none
"""

import asyncio
import base64
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import numpy as np


class Push:
    default_fps = 12

    def __init__(self, gpu_num: int) -> None:
        self.gpu_num = gpu_num
        self.is_started = False

    def start(self) -> None:
        self.is_started = True

    def stop(self) -> None:
        self.is_started = False

    async def serve(self, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        try:
            for index in range(request.get("chunks", 3)):
                if path := request.get("wait"):
                    await asyncio.to_thread(Path(path).read_text)
                yield self._chunk(index, request)
        finally:
            _log(request, "end")

    def _chunk(self, index: int, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("die") == index:
            os.kill(os.getpid(), signal.SIGKILL)
        if request.get("fail") == index:
            raise ZeroDivisionError("a fault of the pipeline")
        _log(request, str(index))
        size = (request.get("height", 16), request.get("width", 16), 3)
        return {
            "type": "chunk",
            "index": "first" if request.get("break") == index else index,
            "fps": request.get("fps", 8),
            "frames": [np.full(size, index, np.uint8)] * request.get("frames", 1),
            "audio_b64": base64.b64encode(bytes(960)).decode(),
            "prompt": request.get("prompt"),
            "is_started": self.is_started,
            "gpu_num": self.gpu_num,
        }


def get_service(gpu_num: int = 1) -> Push:
    return Push(gpu_num)


def _log(request: dict[str, Any], line: str) -> None:
    if path := request.get("log"):
        with Path(path).open("a") as file:
            file.write(f"{line}\n")
