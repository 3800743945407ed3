"""Formats of images: what callers may ask for, what tasks make, and how one becomes another."""

import asyncio
import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telefuser_grpc.domain.contract import TaskContract

MADE_BY_TASKS = ("png", "jpeg", "webp")
PILLOW_FORMATS: Mapping[str, str] = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "gif": "GIF"}
WITHOUT_ALPHA = frozenset({"jpeg", "gif"})
OTHER_NAMES: Mapping[str, tuple[str, ...]] = {"jpeg": ("jpeg", "jpg")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A picture inside an answer: in base64, and what it then is."""

    base64: str
    format: str
    is_transparent: bool = False


def task_format(wanted: str | None, task: TaskContract) -> str | None:
    """Returns the `output_format` that makes a kind of task write a format, if it can."""
    if wanted not in MADE_BY_TASKS:
        return None
    declared = task.parameters.get("output_format")
    names = OTHER_NAMES.get(wanted, (wanted,))
    if declared is None or not declared.enum:
        return wanted
    return next((name for name in names if name in declared.enum), None)


def format_of(content_type: str) -> str:
    """Returns the name of a media type: `png` for `image/png`."""
    return content_type.rpartition("/")[2]


async def encoded(
    content: Path | bytes, kept: str, *, wanted: str | None = None, compression: int | None = None
) -> Encoded:
    """Returns a picture in base64, in the wanted format where it can be written in that.

    Args:
        kept: The format that it has.
        compression: The quality of a lossy format, in percent.
    """
    return await asyncio.to_thread(_encoded, content, kept, wanted, compression)


def _encoded(
    content: Path | bytes, kept: str, wanted: str | None, compression: int | None
) -> Encoded:
    data = content.read_bytes() if isinstance(content, Path) else content
    target = wanted if wanted is not None and wanted in PILLOW_FORMATS else kept
    is_lossy = target in ("jpeg", "webp")
    image = _open(data)
    if image is not None and (target != kept or (is_lossy and compression is not None)):
        data, kept = _written(image, target, compression), target
    return Encoded(
        base64=base64.b64encode(data).decode(),
        format=kept,
        is_transparent=image is not None and kept not in WITHOUT_ALPHA and _has_alpha(image),
    )


def _open(data: bytes) -> Any:
    """Opens a picture; None for what Pillow cannot read, which is sent as it is."""
    from PIL import Image, UnidentifiedImageError  # not at the start of the server

    try:
        return Image.open(io.BytesIO(data), formats=list(PILLOW_FORMATS.values()))
    except (UnidentifiedImageError, Image.DecompressionBombError):
        return None


def _written(image: Any, target: str, compression: int | None) -> bytes:
    if target in WITHOUT_ALPHA or image.mode not in ("RGB", "RGBA", "L"):
        image = image.convert("RGBA" if _has_alpha(image) and target == "webp" else "RGB")
    content = io.BytesIO()
    quality = {} if compression is None else {"quality": compression}
    image.save(content, PILLOW_FORMATS[target], **quality)
    return content.getvalue()


def _has_alpha(image: Any) -> bool:
    return bool(image.has_transparency_data)
