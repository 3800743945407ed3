"""The sizes and numbers of frames that the Wan model makes."""

import math

MAX_PIXELS = 480 * 832
MODULUS = 16
"""A pixel of the transformer: 8 for the VAE, times patches of 2."""
LONGEST_RATIO = 8
FIXED = {"480x832": (480, 832), "832x480": (832, 480)}


class RatioTooLong(ValueError):
    """A picture is so long that a video of its shape would be a line."""


def output_size(image_size: str, width: int, height: int) -> tuple[int, int]:
    """Returns width and height of the video, `auto` from those of the picture.

    Raises:
        RatioTooLong
    """
    return FIXED.get(image_size) or _automatic(width, height)


def effective_frames(wanted: int) -> int:
    """Returns the number of frames that is made: the model makes 4k + 1."""
    return wanted // 4 * 4 + 1


def _automatic(width: int, height: int) -> tuple[int, int]:
    if max(width, height) > LONGEST_RATIO * min(width, height):
        raise RatioTooLong
    ratio = height / width
    tall = _rounded(math.sqrt(MAX_PIXELS * ratio))
    wide = _rounded(math.sqrt(MAX_PIXELS / ratio))
    while tall * wide > MAX_PIXELS:  # both roots may have been rounded up
        if tall > wide:
            tall -= MODULUS
        else:
            wide -= MODULUS
    return wide, tall


def _rounded(side: float) -> int:
    return max(MODULUS, round(side) // MODULUS * MODULUS)
