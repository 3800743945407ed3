"""Makes short films of every kind at once; a prompt `wait PATH` waits at a gate first."""

from pathlib import Path
from typing import Any

from PIL import Image

PROMPT = {"prompt": {"type": "string", "required": True}}
PIPELINE_CONTRACT = {
    "pipeline_name": "films",
    "supported_tasks": ["t2v", "i2v", "vc", "t2i"],
    "task_contracts": {
        "t2v": {"parameters": PROMPT},
        "i2v": {"parameters": PROMPT},
        "vc": {"parameters": PROMPT},
        "t2i": {"parameters": PROMPT},
    },
}
SIZE = (64, 48)
STEPS = 4


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    context.progress(1, STEPS)
    word, _, path = request["prompt"].partition(" ")
    if word == "wait":
        Path(path).read_bytes()
    for step in range(2, STEPS + 1):
        context.progress(step, STEPS)
    picture = Image.new("RGB", SIZE, "olive")
    return picture if request["task"] == "t2i" else [picture] * 5
