"""Paints a picture at once: in the size asked for, step by step, waiting where it is told to."""

from pathlib import Path
from typing import Any

from PIL import Image

STEPS = 4
GATED = {"prompt": {"type": "string", "required": True}, "gate": {"type": "string"}}
PIPELINE_CONTRACT = {
    "pipeline_name": "painting",
    "supported_tasks": ["t2i", "i2i", "t2v"],
    "task_contracts": {"t2i": {"parameters": GATED}, "i2i": {"parameters": GATED}},
}


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    size = (request.get("width", 32), request.get("height", 24))
    image = Image.new("RGB", size, (request["seed"] % 256, 0, 0))
    for step in range(1, STEPS + 1):
        context.progress(step, STEPS)
        context.preview(image.resize((8, 6)))
        if step == STEPS // 2 and request.get("gate"):
            Path(request["gate"]).read_bytes()
    if request["task"] == "i2i":
        image = Image.open(request.get("mask") or request["first_image_path"]).convert("RGB")
    return image
