"""Takes pictures out of finished videos."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from telefuser_grpc.errors import OutputInvalid

DEMUXERS = {".mp4": "mov", ".webm": "matroska", ".gif": "gif"}
MOST_TILES = 16
TILE_WIDTH = 320


def write_thumbnail(video: str, target: str) -> None:
    """Writes the first frame of a video as WebP. Raises OutputInvalid."""
    with _decoded(video) as (_, frames):
        first = next(frames).to_image()
    first.save(target, "WEBP", quality=85)


def write_spritesheet(video: str, target: str) -> None:
    """Writes frames of a video, evenly spread, as a grid in a JPEG, row by row.

    Raises:
        OutputInvalid
    """
    from PIL import Image  # not at the start of the server

    count = _count(video)
    wanted = [place * count // MOST_TILES for place in range(MOST_TILES)]
    with _decoded(video) as (_, frames):
        tiles = [_tile(frame) for place, frame in enumerate(frames) if place in wanted]
    columns = math.ceil(math.sqrt(len(tiles)))
    width, height = tiles[0].size
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (columns * width, rows * height))
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place % columns * width, place // columns * height))
    sheet.save(target, "JPEG", quality=85)


def first_frame(video: str) -> bytes:
    """Returns the first frame of a video as PNG. Raises OutputInvalid."""
    with _decoded(video) as (_, frames):
        return _png(next(frames))


def last_frame(video: str) -> bytes:
    """Returns the last frame of a video as PNG. Raises OutputInvalid."""
    with _decoded(video) as (_, frames):
        last = next(frames)
        for frame in frames:
            last = frame
        return _png(last)


def _count(video: str) -> int:
    with _decoded(video) as (container, _):
        return max(1, sum(1 for packet in container.demux(video=0) if packet.size))


def _tile(frame: Any) -> Any:
    """Converts a frame of a sheet, small enough for it."""
    width = min(TILE_WIDTH, frame.width)
    height = max(1, round(frame.height * width / frame.width))
    return frame.reformat(width=width, height=height).to_image()


def _png(frame: Any) -> bytes:
    buffer = io.BytesIO()
    frame.to_image().save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@contextmanager
def _decoded(video: str) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Opens a video, by a format that its name tells and its content cannot choose."""
    import av  # not at the start of the server

    try:
        with av.open(video, format=DEMUXERS.get(Path(video).suffix.lower(), "mov")) as container:
            yield container, container.decode(video=0)
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise OutputInvalid("The video cannot be decoded") from error
