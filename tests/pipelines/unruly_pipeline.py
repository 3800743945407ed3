"""Treats its process badly in the way that the prompt names, and works all the same.

`CUDA_VISIBLE_DEVICES` names how it misbehaves before it is loaded, or when it shall stop.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LONG_SECONDS = 3600
MANNERS = os.environ.get("CUDA_VISIBLE_DEVICES", "")
UNSENDABLE = {"parameters": {"model": {"default": object()}}} if MANNERS == "unsendable" else {}
PIPELINE_CONTRACT = {
    "pipeline_name": f"unruly {os.getpid()}" if MANNERS == "differs" else "unruly",
    "supported_tasks": ["t2v", "t2i"],
    "task_contracts": {"t2v": {"media_type": "none", **UNSENDABLE}, "t2i": {"media_type": "image"}},
}


class Pipeline:
    """Stops late."""

    def stop(self) -> None:
        if MANNERS == "stays":
            time.sleep(LONG_SECONDS)


def get_pipeline() -> object:
    match MANNERS:
        case "fails":
            raise RuntimeError("no memory left on this device")
        case "hangs":
            time.sleep(LONG_SECONDS)
        case "vanishes":
            os._exit(0)
        case "chats":
            _chat()
    return Pipeline()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    match request.get("prompt"):
        case "vanish":
            os._exit(0)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "chat":
            _chat()
        case "mute":
            sys.stdout.close()
            sys.stderr.close()
        case "litter":
            handle, path = tempfile.mkstemp()
            os.close(handle)
            raise ValueError(Path(path).parent.name)
        case "no text":
            raise ValueError("\udcff")
        case "strange":
            return lambda: None
        case "counts":
            for step, steps in ((1.0, 4), (3, 4), (2, 4), (9, 4), (2**70, 2**80), (-1, 4)):
                context.progress(step, steps)
        case "counts in words":
            context.progress("one", "four")
        case "interrupt":
            raise KeyboardInterrupt
    return None


def _chat() -> None:
    for stream in (sys.stdout, sys.stderr):
        for _ in range(64):
            stream.write("\0\0\0\5noise" * 100)
        stream.flush()
    os.write(1, b"\0\0\0\5noise\xff")
