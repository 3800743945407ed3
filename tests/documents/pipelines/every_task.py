"""Makes a small picture or film at once for each of the six documented tasks."""

import json
from pathlib import Path
from typing import Any

PROMPT = {"prompt": {"type": "string", "required": True}}
CLIP = {"media_type": "video", "parameters": PROMPT}
STILL = {"media_type": "image", "parameters": PROMPT}
PIPELINE_MANIFEST = {
    "pipeline_name": "every_task",
    "supported_tasks": ["t2v", "i2v", "fl2v", "vc", "t2i", "i2i"],
    "task_contracts": {
        "t2v": CLIP,
        "i2v": {**CLIP, "required_inputs": ["first_image_path"]},
        "fl2v": {**CLIP, "required_inputs": ["first_image_path", "last_image_path"]},
        "vc": {**CLIP, "required_inputs": ["ref_video_path"]},
        "t2i": STILL,
        "i2i": {**STILL, "required_inputs": ["first_image_path"]},
    },
}
SIZE = (32, 24)


def get_pipeline(parallelism: int = 1) -> object:
    hold = Path("hold")
    if hold.exists():
        hold.read_bytes()
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    from PIL import Image

    context.progress(1, 2, "stage_1")
    if "gate" in request:
        Path(request["gate"]).read_bytes()
    if "report" in request:
        Path(request["report"]).write_text(json.dumps(request))
    context.progress(2, 2, "stage_2")
    size = SIZE
    if request.get("first_image_path"):
        size = Image.open(request["first_image_path"]).size
    image = Image.new("RGB", size, "olive")
    return image if request["task"] in ("t2i", "i2i") else [image] * 4
