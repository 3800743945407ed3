"""Makes a small picture or film for every documented kind of task, on what its inputs allow."""

from pathlib import Path
from typing import Any

CLIP = {"media_type": "video"}
STILL = {"media_type": "image"}
PIPELINE_CONTRACT = {
    "pipeline_name": "every_kind",
    "supported_tasks": ["t2v", "i2v", "fl2v", "vc", "s2v", "vsr", "t2i", "i2i", "edit"],
    "task_contracts": {
        "t2v": {**CLIP, "parameters": {"prompt": {"type": "string", "required": True}}},
        "i2v": {**CLIP, "required_inputs": ["first_image_path"]},
        "fl2v": {**CLIP, "required_inputs": ["first_image_path", "last_image_path"]},
        "vc": {**CLIP, "required_inputs": ["ref_video_path"]},
        "s2v": {**CLIP, "optional_inputs": ["first_image_path", "audio_path"]},
        "vsr": {**CLIP, "required_inputs": ["ref_video_path"]},
        "t2i": STILL,
        "i2i": {**STILL, "required_inputs": ["first_image_path"]},
        "edit": {**STILL, "optional_inputs": ["first_image_path"]},
    },
}


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    from PIL import Image

    context.progress(1, 2)
    if "gate" in request:
        Path(request["gate"]).read_bytes()
    context.progress(2, 2)
    if request.get("prompt") == "raise":
        raise ValueError("the pipeline cannot draw that")
    size = (64, 48)
    if request.get("first_image_path"):
        size = Image.open(request["first_image_path"]).size
    image = Image.new("RGB", size, "olive")
    return image if request["task"] in ("t2i", "i2i", "edit") else [image] * 4
