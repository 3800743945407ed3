"""How large a result is to be: width, height and number of frames that a model can make."""

import math
from collections.abc import Mapping
from typing import Any

from telefuser_grpc.errors import InvalidFields, Violation

AREAS = {
    "480p": 480 * 854,
    "540p": 544 * 960,
    "720p": 720 * 1280,
    "1080p": 1080 * 1920,
    "2k": 1440 * 2560,
    "4k": 2160 * 3840,
}
"""Pixels of each named resolution, in whatever aspect."""


def size_of(request: Mapping[str, Any], *, multiple: int, like: Any = None) -> tuple[int, int]:
    """Returns width and height in pixels, both rounded up to a multiple.

    Args:
        request: Its `width` and `height` go first; then its `resolution`, a name of `AREAS` or
            "WIDTHxHEIGHT", in its `aspect_ratio`, "W:H".
        like: A PIL image whose aspect goes before that of the request.

    Raises:
        InvalidFields: A text has another form.
    """
    width, height = request.get("width") or 0, request.get("height") or 0
    if not (width or height):
        width, height = _named_size(request, like)
    elif not (width and height):
        aspect = _aspect(request, like)
        width, height = width or height * aspect, height or width / aspect
    return _up(width, multiple), _up(height, multiple)


def tabled_size(
    request: Mapping[str, Any], table: Mapping[str, str], *, multiple: int
) -> tuple[int, int]:
    """Returns width and height as `size_of` does, for a model that knows one size of each aspect.

    Args:
        table: "WIDTHxHEIGHT" by "W:H", for a request that names no size.
    """
    named = request.get("resolution") or table[request["aspect_ratio"]]
    return size_of({**request, "resolution": named}, multiple=multiple)


def shaped_like(
    image: Any, request: Mapping[str, Any], *, pixels: int, multiple: int
) -> tuple[int, int]:
    """Returns width and height of about so many pixels in the aspect of a PIL image.

    A request's `width` and `height` go first; one of them alone keeps the aspect.
    """
    aspect = image.width / image.height
    width, height = request.get("width") or 0, request.get("height") or 0
    if not (width or height):
        width, height = math.sqrt(pixels * aspect), math.sqrt(pixels / aspect)
    width, height = width or height * aspect, height or width / aspect
    return _near(width, multiple), _near(height, multiple)


def frame_count(request: Mapping[str, Any], *, fps: float, every: int = 4) -> int:
    """Returns the frames of a clip: `num_frames`, where a request has it.

    Otherwise its `target_video_length` in seconds, rounded to a multiple of `every`, and 1.
    """
    if exact := request.get("num_frames"):
        return int(exact)
    wanted = float(request["target_video_length"]) * fps
    return max(1, round(wanted / every)) * every + 1


def fitted(image: Any, size: tuple[int, int]) -> Any:
    """Returns a PIL image scaled and cut, from its middle, to exactly a size."""
    from PIL import ImageOps  # a replica's; the server process needs no pictures here

    return ImageOps.fit(image, size)


def _named_size(request: Mapping[str, Any], like: Any) -> tuple[float, float]:
    resolution = str(request["resolution"]).lower()
    if resolution not in AREAS:
        return _pair(resolution, "x", "resolution", "as in 832x480, or 720p")
    area, aspect = AREAS[resolution], _aspect(request, like)
    return math.sqrt(area * aspect), math.sqrt(area / aspect)


def _aspect(request: Mapping[str, Any], like: Any) -> float:
    if like is not None:
        return float(like.width / like.height)
    across, down = _pair(str(request["aspect_ratio"]), ":", "aspect_ratio", "as in 16:9")
    return across / down


def _pair(text: str, mark: str, field: str, form: str) -> tuple[int, int]:
    first, _, second = text.partition(mark)
    if not (first.isdecimal() and second.isdecimal() and int(first) and int(second)):
        raise InvalidFields([Violation(field, f"must be two numbers, {form}", "value_error")])
    return int(first), int(second)


def _up(length: float, multiple: int) -> int:
    return math.ceil(round(length, 6) / multiple) * multiple


def _near(length: float, multiple: int) -> int:
    return max(1, round(length / multiple)) * multiple
