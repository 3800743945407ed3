"""Draws at once what the SDKs ask for; the first word of a prompt names what else to do.

`wait PATH` waits until somebody has opened the gate at that path, `last PATH` goes on until it is
cancelled and says both there, `fail` fails.
"""

import itertools
import random
import time
from pathlib import Path
from typing import Any

PROMPT = {"prompt": {"type": "string", "required": True}}
SEED = {"seed": {"type": "integer", "default": 42}}
SMALL = {"resolution": {"type": "string", "default": "64x48"}}
VIDEO = {"media_type": "video", "parameters": PROMPT | SEED}
IMAGE = {"media_type": "image", "parameters": PROMPT | SEED | SMALL}
PIPELINE_CONTRACT = {
    "pipeline_name": "conformance",
    "supported_tasks": ["t2i", "i2i", "t2v", "i2v", "vc"],
    "task_contracts": {
        "t2i": IMAGE,
        "i2i": IMAGE | {"required_inputs": ["first_image_path"]},
        "t2v": VIDEO,
        "i2v": VIDEO | {"required_inputs": ["first_image_path"]},
        "vc": VIDEO | {"required_inputs": ["ref_video_path"]},
    },
}
STEPS = 4
FRAMES = 4
FPS = 4
SIZE = (64, 48)
STEP_SECONDS = 0.02
IMAGE_KINDS = ("t2i", "i2i")


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    word, _, path = request["prompt"].partition(" ")
    match word:
        case "wait":
            Path(path).read_bytes()
        case "last":
            _last(Path(path), context)
        case "fail":
            raise ValueError("the model has no idea")
    picture = _draw(request)
    for step in range(1, STEPS + 1):
        context.progress(step, STEPS)
        context.preview(picture)
    if request["task"] in IMAGE_KINDS:
        return picture
    return {"frames": [picture] * FRAMES, "fps": FPS}


def _last(path: Path, context: Any) -> None:
    with path.open("w", buffering=1) as ear:
        ear.write("started\n")
        try:
            _step_for_ever(context)
        finally:
            ear.write("cancelled\n" if context.cancelled else "gone\n")


def _step_for_ever(context: Any) -> None:
    for step in itertools.count(1):
        context.progress(step, 0)
        context.preview(_plain(SIZE, str(step)))
        time.sleep(STEP_SECONDS)


def _draw(request: dict[str, Any]) -> Any:
    if source := request.get("first_image_path"):
        return _opened(source)
    if source := request.get("ref_video_path"):
        return _first_frame(source)
    return _plain(_size(request), f"{request['prompt']} {request['seed']}")


def _plain(size: tuple[int, int], subject: str) -> Any:
    from PIL import Image

    return Image.new("RGB", size, tuple(random.Random(subject).randbytes(3)))


def _opened(path: str) -> Any:
    from PIL import Image

    return Image.open(path).convert("RGB")


def _first_frame(path: str) -> Any:
    import av

    with av.open(path) as container:
        return next(container.decode(video=0)).to_image()


def _size(request: dict[str, Any]) -> tuple[int, int]:
    width, _, height = str(request.get("resolution", "")).partition("x")
    return (int(width), int(height)) if height else SIZE
