"""Does what the request says: steps, waits at gates, draws, and misbehaves as `prompt` names it."""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from PIL import Image

NO_PROMPT_NEEDED = {"prompt": {"required": False}}
PIPELINE_CONTRACT = {
    "pipeline_name": "puppet",
    "supported_tasks": ["t2v", "t2i", "i2v", "act"],
    "task_contracts": {
        "t2v": {"media_type": "video", "parameters": {"prompt": {"required": True}}},
        "t2i": {"media_type": "image", "parameters": NO_PROMPT_NEEDED},
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "parameters": NO_PROMPT_NEEDED,
        },
        "act": {"media_type": "none"},
    },
}
SIZE = (64, 48)
FRAMES = 5


class SlowImage:
    """A picture that waits at a gate when the encoder asks for its pixels."""

    mode = "L"
    size = SIZE

    def __init__(self, gate: str) -> None:
        self._gate = gate

    def convert(self, mode: str) -> Image.Image:
        Path(self._gate).read_bytes()
        return Image.new(mode, SIZE, "olive")


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    try:
        return _perform(request, context)
    finally:
        if "exit_gate" in request:
            Path(request["exit_gate"]).read_bytes()


def _perform(request: dict[str, Any], context: Any) -> Any:
    steps = int(request.get("steps", 3))
    for step in range(1, steps + 1):
        context.progress(step, steps)
        if step == request.get("gate_step", 1) and "gate" in request:
            Path(request["gate"]).read_bytes()
        time.sleep(request.get("step_seconds", 0))
    _misbehave(request)
    if request["task"] == "act" or request.get("prompt") == "garbage":
        return None
    if request["task"] == "t2i":
        return Image.new("RGB", SIZE, "olive")
    if "encode_gate" in request:
        return [SlowImage(request["encode_gate"])] * FRAMES
    return [Image.new("RGB", SIZE, "olive")] * FRAMES


def _misbehave(request: dict[str, Any]) -> None:
    output = Path(request["output_path"])
    match request.get("prompt"):
        case "raise":
            raise ValueError(f"cannot open {__file__!r}")
        case "memory":
            raise MemoryError
        case "unwritable":
            shutil.rmtree(output.parent)
            output.parent.write_text("a file where the folder was")
        case "garbage":
            output.write_bytes(b"no film at all" * 100)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
