"""Echoes what it is told, media as media; a few words make it misbehave.

In the configuration `refuse` names the error of `create_session`, `only` allows one session,
`log` is a file that gets a line for the close, and `wait` a pipe that `create_session` reads.
What is pushed may hold `do`: `raise` in the push, or, when the next chunk is made, `fail`, `die`,
`end`, or `hang` until the pipe `wait` is read.
"""

import asyncio
import base64
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

ERRORS = {
    "value": ValueError("image is required\nsee the manual"),
    "type": TypeError("fps must be a number"),
    "os": FileNotFoundError(2, "No such file or directory", "/srv/secret/cat.png"),
    "path": OSError("cannot identify image file '/srv/secret/cat.png'"),
    "runtime": RuntimeError("one session at a time"),
    "other": KeyError("/srv/secret"),
}


class Talk:
    def __init__(self) -> None:
        self.queues: dict[str, asyncio.Queue[Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def create_session(self, config: dict[str, Any]) -> str:
        if refusal := config.get("refuse"):
            raise ERRORS[refusal]
        if config.get("only") and self.queues:
            raise RuntimeError("one session at a time")
        if path := config.get("wait"):
            Path(path).read_text()
        session_id = config.get("rename") or config.get("session_id", "nobody")
        self.queues[session_id] = asyncio.Queue()
        self.configs[session_id] = config
        return session_id

    def push_chunk(self, session_id: str, chunk: Any) -> None:
        if isinstance(chunk, dict) and chunk.get("do") == "raise":
            raise ValueError("not with me")
        self.queues[session_id].put_nowait(chunk)

    async def pull_chunks(self, session_id: str) -> AsyncGenerator[dict[str, Any], None]:
        index = 0
        while (told := await self.queues[session_id].get()) != {"do": "end"}:
            yield {"type": "chunk", "index": index, "fps": 16, **await _answer(told)}
            index += 1

    def close_session(self, session_id: str) -> None:
        del self.queues[session_id]
        if path := self.configs.pop(session_id).get("log"):
            with Path(path).open("a") as file:
                file.write(f"closed {session_id}\n")


def get_service(**_: Any) -> Talk:
    return Talk()


async def _answer(told: Any) -> dict[str, Any]:
    if isinstance(told, bytes):
        return {"bytes": told.hex()}
    if told.get("type") == "media" and "video_frames" in told:
        return {"frames": [255 - frame for frame in told["video_frames"]]}
    if told.get("type") == "media":
        return {
            "audio_b64": base64.b64encode(told["audio_pcm"]).decode(),
            "audio_sample_rate": told["sample_rate"],
            "audio_channels": told["channels"],
        }
    match told.get("do"):
        case "fail":
            raise ZeroDivisionError("a fault of the pipeline")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            await asyncio.to_thread(Path(told["wait"]).read_text)
    return {"told": told}
