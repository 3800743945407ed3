"""Draws its prompt on a tiny picture, in as many steps as asked for.

`gate` may name a file: the run waits after its first step while somebody has locked that.
"""

import fcntl
from pathlib import Path
from typing import Any

PIPELINE_CONTRACT = {
    "pipeline_name": "echo",
    "supported_tasks": ["t2i", "t2v"],
    "task_contracts": {
        "t2i": {"media_type": "image", "parameters": {"prompt": {"required": True}}},
        "t2v": {"media_type": "video", "parameters": {"prompt": {"required": True}}},
    },
}
SIZE = (64, 64)
FRAMES = 5


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    from PIL import Image, ImageDraw

    steps = int(request.get("num_inference_steps", 4))
    for step in range(1, steps + 1):
        context.progress(step, steps)
        if step == 1 and request.get("gate"):
            _pass(Path(request["gate"]))
    image = Image.new("RGB", SIZE, "navy")
    ImageDraw.Draw(image).text((2, 2), str(request.get("prompt", "")), fill="white")
    context.preview(image)
    return image if request["task"] == "t2i" else [image] * FRAMES


def _pass(gate: Path) -> None:
    with gate.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
