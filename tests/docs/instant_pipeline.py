"""Is done at once: `t2v` makes nothing, `t2i` a picture and `clip` a short film."""

from typing import Any

from PIL import Image

PIPELINE_CONTRACT = {
    "pipeline_name": "instant",
    "supported_tasks": ["t2v", "t2i", "i2v", "clip"],
    "task_contracts": {
        "t2v": {"media_type": "none", "parameters": {"prompt": {"required": True}}},
        "t2i": {"media_type": "image"},
        "i2v": {"media_type": "none", "required_inputs": ["first_image_path"]},
        "clip": {"media_type": "video"},
    },
}
SIZE = (16, 16)


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    context.progress(1, 1)
    match request["task"]:
        case "t2i":
            return Image.new("RGB", SIZE, "olive")
        case "clip":
            return [Image.new("RGB", SIZE, "olive")] * 5
    return None
