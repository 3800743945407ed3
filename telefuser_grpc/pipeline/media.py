"""Reads the inputs of a task for a diffusers pipeline: pictures, clips and sound."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_image(path: str | Path) -> Any:
    """Returns a picture as PIL shows it to people: upright, RGB, clear parts white."""
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        if "A" not in upright.getbands() and "transparency" not in upright.info:
            return upright.convert("RGB")
        pasted = Image.new("RGBA", upright.size, "white")
        pasted.alpha_composite(upright.convert("RGBA"))
        return pasted.convert("RGB")


def read_frames(path: str | Path, *, limit: int, fps: float | None = None) -> list[Any]:
    """Returns the first frames of a clip as PIL images.

    Args:
        limit: The most frames to read.
        fps: At which rate, in frames a second; frames are repeated or left out. None takes all.
    """
    return [image for image, _ in zip(_frames(path, fps), range(limit), strict=False)]


def read_sound(path: str | Path, *, rate: int) -> Any:
    """Returns sound as a numpy array (samples,) of float32 between -1 and 1, one channel."""
    import av
    import numpy as np

    with av.open(str(path)) as file:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        pieces = [
            piece.to_ndarray()[0]
            for frame in [*file.decode(audio=0), None]
            for piece in resampler.resample(frame)
        ]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def _frames(path: str | Path, fps: float | None) -> Iterator[Any]:
    import av

    with av.open(str(path)) as file:
        shown = 0
        for number, frame in enumerate(file.decode(video=0), start=1):
            frame_image: Any = frame.to_image  # PyAV leaves it without types
            due = number if fps is None else int((frame.time or 0.0) * fps) + 1
            while shown < due:
                yield frame_image()
                shown += 1
