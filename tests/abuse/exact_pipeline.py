"""Makes tasks of those who know its ticket alone, so that no task comes of a guess."""

import shutil
from typing import Any

from PIL import Image

TICKET = "k3-9d-xq-admit-one"
PARAMETERS = {"ticket": {"type": "string", "enum": [TICKET], "required": True}}
PIPELINE_CONTRACT = {
    "pipeline_name": "exact",
    "supported_tasks": ["t2v", "i2v", "clip", "file"],
    "task_contracts": {
        "t2v": {"media_type": "none", "parameters": PARAMETERS},
        "i2v": {
            "media_type": "none",
            "required_inputs": ["first_image_path"],
            "optional_inputs": ["last_image_path", "ref_video_path", "audio_path"],
            "parameters": PARAMETERS,
        },
        "clip": {"media_type": "video", "parameters": PARAMETERS},
        "file": {"media_type": "video", "parameters": PARAMETERS},
    },
}


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    context.progress(1, 1)
    match request["task"]:
        case "clip":
            return [Image.new("RGB", (16, 16), "olive")] * 5
        case "file":
            return shutil.copyfile(request["clip"], request["output_path"])
    return None
