"""Makes a caller's picture ready for a pipeline: decoded, upright, in RGB, of the size wanted."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from telefuser_grpc.errors import InputRejected
from telefuser_grpc.pipeline.probe import ProbeLimits, Undecodable, probe
from telefuser_grpc.scheduler.ports import Uploads

FAST = 1
"""How hard a picture is packed: it is read once, on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture as PNG."""

    width: int
    height: int
    content: bytes


async def fitted(path: Path, size: Callable[[int, int], tuple[int, int]], *, field: str) -> Picture:
    """Returns the picture of a file, scaled to cover the wanted size and cut around its centre.

    `size` returns the wanted width and height by those that the picture has; what it raises is
    passed on.

    Raises:
        InputRejected: The file is no picture, named by the field that it came in.
    """
    return await asyncio.to_thread(_fitted, path, size, field)


@asynccontextmanager
async def uploaded(picture: Picture, uploads: Uploads, *, field: str) -> AsyncIterator[str]:
    """Keeps a picture as an upload inside the block, under the name that a task's field takes.

    Raises:
        UploadTooLarge, StorageFull
    """
    async with uploads.receive(field=field, size_bytes=len(picture.content)) as sink:
        await sink.write(picture.content)
        upload = await sink.finish()
    try:
        yield f"upload:{upload.id}"
    finally:
        await uploads.discard(upload.id)


def _fitted(path: Path, size: Callable[[int, int], tuple[int, int]], field: str) -> Picture:
    _check(path, field)
    from PIL import Image, ImageOps  # not at the start of the server

    with Image.open(path) as raw:
        image = ImageOps.exif_transpose(raw).convert("RGB")
    wanted = size(image.width, image.height)
    if image.size != wanted:
        image = ImageOps.fit(image, wanted, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=FAST)
    return Picture(width=wanted[0], height=wanted[1], content=content.getvalue())


def _check(path: Path, field: str) -> None:
    try:
        facts = probe(path, limits=ProbeLimits())
    except Undecodable as error:
        raise InputRejected(field, error.message) from error
    if not facts.content_type.startswith("image/"):
        raise InputRejected(field, f"is of type {facts.content_type}; send an image")
