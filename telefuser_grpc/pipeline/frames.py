"""Brings the frames that a pipeline returns into one form: RGB, eight bits, rows then columns."""

from collections.abc import Iterator
from typing import Any

from telefuser_grpc.errors import OutputInvalid

# Decoders overshoot a little; values far outside mean that the scale is not 0 to 1.
LOWEST, HIGHEST = -0.5, 1.5


def rgb_frames(frames: Any) -> Iterator[Any]:
    """Yields each frame as a numpy array (height, width, 3) of uint8, all of one size.

    Raises:
        OutputInvalid: A frame has another shape, type or size, or values that are no colours.
    """
    shape = None
    for index, frame in enumerate(frames):
        pixels = _rgb(to_pixels(frame, index))
        shape = shape or pixels.shape
        if pixels.shape != shape:
            raise OutputInvalid(
                f"Frame {index} is {pixels.shape[1]}x{pixels.shape[0]} pixels large, the first "
                f"is {shape[1]}x{shape[0]}"
            )
        yield pixels
    if shape is None:
        raise OutputInvalid("The pipeline returned no frames")


def to_pixels(frame: Any, index: int) -> Any:
    """Returns a frame as a numpy array (height, width, 1, 3 or 4) of uint8.

    Raises:
        OutputInvalid
    """
    import numpy as np  # not needed by tasks without pictures

    if hasattr(frame, "convert"):  # a PIL image
        frame = frame if frame.mode in ("RGB", "RGBA") else frame.convert("RGB")
    pixels = _channels_last(np.asarray(frame), index)
    if pixels.dtype == np.uint8:
        return pixels
    if not np.issubdtype(pixels.dtype, np.floating):
        raise OutputInvalid(f"Frame {index} holds {pixels.dtype}; give uint8, or floats of 0 to 1")
    return _scaled(pixels, index)


def _channels_last(pixels: Any, index: int) -> Any:
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4) and pixels.shape[0] in (1, 3, 4):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or pixels.size == 0:
        raise OutputInvalid(
            f"Frame {index} has the shape {pixels.shape}; give (height, width, 3), or PIL images"
        )
    return pixels


def _scaled(pixels: Any, index: int) -> Any:
    import numpy as np  # loaded already

    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise OutputInvalid(f"Frame {index} holds values that are not numbers (NaN or infinity)")
    if low < LOWEST or high > HIGHEST:
        raise OutputInvalid(f"Frame {index} has values of {low:g} to {high:g}; give floats 0 to 1")
    return (pixels.astype(np.float32).clip(0, 1) * 255).round().astype(np.uint8)


def _rgb(pixels: Any) -> Any:
    return pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3]
