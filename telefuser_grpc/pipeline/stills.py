"""Writes still images."""

from pathlib import Path
from typing import Any

from telefuser_grpc.pipeline.frames import to_pixels

STILL_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 4},
    "JPEG": {"quality": 95},
    "WEBP": {"quality": 90, "method": 2},
}


def write_still(path: Path, frame: Any, *, index: int, suffix: str) -> None:
    """Writes one frame in the format that a suffix stands for.

    Raises:
        OutputInvalid: The frame is no picture.
    """
    from PIL import Image  # not needed by tasks without pictures

    pixels = to_pixels(frame, index)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    file_format = STILL_FORMATS[suffix]
    if file_format == "JPEG" and image.mode == "RGBA":
        image = image.convert("RGB")
    image.save(path, file_format, **_OPTIONS[file_format])
