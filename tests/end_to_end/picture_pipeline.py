"""Makes a video of a picture; the prompt may name a gate (`gate:<path>`) or a failure."""

from pathlib import Path
from typing import Any

from PIL import Image

PIPELINE_CONTRACT = {"pipeline_name": "pictures", "supported_tasks": ["t2v", "i2v"]}


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    context.progress(1, 2)
    for word in request["prompt"].split():
        if word.startswith("gate:"):
            Path(word.removeprefix("gate:")).read_bytes()
    if "out of memory" in request["prompt"]:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    if "raise" in request["prompt"]:
        raise ValueError(f"cannot open {__file__!r}")
    context.progress(2, 2)
    image = Image.open(request["first_image_path"])
    assert image.size == (request["width"], request["height"]), image.size
    return [image] * request["num_frames"]
