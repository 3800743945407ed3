"""Reads the inputs of a task for a diffusers pipeline: pictures, and the frames of clips."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROUNDING = 1e-6  # a time that is a hair before its frame


def read_image(path: str | Path, *, at_least: int = 1) -> Any:
    """Returns a picture as PIL shows it to people: upright, RGB, clear parts white.

    Args:
        at_least: Pixels of its shorter side; a smaller picture is enlarged.
    """
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        upright = _in_8_bits(ImageOps.exif_transpose(image))
        if "A" not in upright.getbands() and "transparency" not in upright.info:
            return _enlarged(upright.convert("RGB"), at_least)
        pasted = Image.new("RGBA", upright.size, "white")
        pasted.alpha_composite(upright.convert("RGBA"))
        return _enlarged(pasted.convert("RGB"), at_least)


def read_frames(path: str | Path, *, limit: int, fps: float | None = None) -> list[Any]:
    """Returns the first frames of a clip as PIL images.

    Args:
        limit: The most frames to read.
        fps: At which rate, in frames a second; frames are repeated or left out. None takes all.
    """
    return list(itertools.islice(_frames(path, fps), limit))


def _enlarged(image: Any, at_least: int) -> Any:
    shorter = min(image.size)
    if shorter >= at_least:
        return image
    return image.resize([round(side * at_least / shorter) for side in image.size])


def _in_8_bits(image: Any) -> Any:
    """Returns a picture of one deep channel as grey; converted as it is, it would turn white."""
    if not image.mode.startswith("I"):
        return image
    return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")


def _frames(path: str | Path, fps: float | None) -> Iterator[Any]:
    import av

    with av.open(str(path)) as file:
        shown, start, before = 0, 0.0, None
        for number, frame in enumerate(file.decode(video=0)):
            time = frame.time or 0.0
            start = start if number else time
            place = number if fps is None else int((time - start) * fps + ROUNDING)
            while shown <= place:
                shown_frame: Any = frame if shown == place else before  # PyAV has no types
                yield shown_frame.to_image()
                shown += 1
            before = frame
