"""Reads the picture that a walk begins with, which a client sends or names."""

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MAX_BYTES = 10 * 2**20
MAX_PIXELS = 64 * 10**6
FORMATS = ("PNG", "JPEG", "WEBP")


def read_picture(fields: Mapping[str, Any], *, roots: Sequence[Path]) -> Any | None:
    """Returns the picture of `image` or `image_path` as PIL shows it, RGB; None without one.

    Args:
        roots: Below which folders paths may lead.

    Raises:
        ValueError: It is none that can be taken; the message says why.
    """
    image, path = fields.get("image"), fields.get("image_path")
    if isinstance(image, str) and image.startswith("data:"):
        return _decoded(_inline(image))
    named = image or path
    if named is None or named == "":
        return None
    if not isinstance(named, str):
        raise ValueError("image must be a data URL or a path")
    return _decoded(_content(named, roots))


def read_intrinsics(path: Any, *, roots: Sequence[Path]) -> Any:
    """Returns the first camera of a file of numpy's, as lists of numbers. Raises ValueError."""
    import numpy as np  # not needed by most sessions

    try:
        camera = np.load(io.BytesIO(_content(str(path), roots)), allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError("intrinsics_path names no .npy file that this server may read") from error
    is_several = camera.ndim == 3 or (camera.ndim == 2 and camera.shape[1] == 4)
    return (camera[0] if is_several else camera).tolist()


def _inline(url: str) -> bytes:
    head, _, text = url.partition(",")
    if len(text) > MAX_BYTES * 4 // 3 + 4:
        raise ValueError("Browser image exceeds the 10 MiB size limit")
    if not head.endswith(";base64"):
        raise ValueError("Browser image has invalid base64 data")
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("Browser image has invalid base64 data") from error
    if len(content) > MAX_BYTES:
        raise ValueError("Browser image exceeds the 10 MiB size limit")
    return content


def _content(name: str, roots: Sequence[Path]) -> bytes:
    """Returns a file of the server; it is told the same of one that may not be read and of none."""
    try:
        path = Path(name).resolve(strict=True)
        allowed = any(path.is_relative_to(root.resolve()) for root in roots)
        if allowed and path.is_file() and path.stat().st_size <= MAX_BYTES:
            return path.read_bytes()
    except (OSError, ValueError):
        pass  # told below
    raise ValueError(
        "image is no file of at most 10 MiB that this server may read; send it as a data URL, or "
        "ask the operator to add its folder to TELEFUSER_ALLOWED_MEDIA_ROOTS"
    )


def _decoded(content: bytes) -> Any:
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"more than {MAX_PIXELS} pixels")
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("Browser image has an unsupported or invalid format") from error
