"""Declarations that most contracts share, so that a pipeline file shows only what is its own."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from telefuser_grpc.pipeline.sizes import size_of

Declared = dict[str, Any]

ASPECT_RATIOS = ("16:9", "9:16", "4:3", "3:4", "1:1", "2:3", "3:2")

OF_EACH = ("prompt", "negative_prompt", "seed", "output_format", "output_path")
"""What each of several tasks that are made together has for itself."""

OUTPUT_PATH: Declared = {
    "type": "string",
    "default": "",
    "description": "File name of the result; made up from the task's id if empty.",
}


def prompt(*, max_length: int = 2000, example: str = "") -> Declared:
    """Declares what to show."""
    words = "What to show, in plain words." + (f' As in "{example}".' if example else "")
    return {
        "type": "string",
        "required": True,
        "min_length": 1,
        "max_length": max_length,
        "description": words,
    }


def negative_prompt(default: str = "", *, max_length: int = 2000) -> Declared:
    """Declares what to steer away from."""
    return {
        "type": "string",
        "default": default,
        "max_length": max_length,
        "description": "What to steer away from.",
    }


def seed(default: int = 42) -> Declared:
    """Declares the seed of the noise."""
    return {
        "type": "integer",
        "default": default,
        "minimum": 0,
        "maximum": 2**63 - 1,
        "description": "Same request, same seed, same result.",
    }


def steps(default: int, *, maximum: int = 100) -> Declared:
    """Declares the number of denoising steps."""
    return {
        "type": "integer",
        "default": default,
        "minimum": 1,
        "maximum": maximum,
        "description": "Denoising steps: more take longer and show finer detail.",
    }


def guidance(default: float, *, minimum: float = 1.0, maximum: float = 20.0) -> Declared:
    """Declares how strongly the prompt is followed."""
    return {
        "type": "number",
        "default": default,
        "minimum": minimum,
        "maximum": maximum,
        "description": "How far the prompt is pressed beyond what the model makes of it by itself; "
        "up to 1 not at all, and faster.",
    }


def guidance_of_detail(default: float) -> Declared:
    """Declares the guidance of a second denoiser, which takes over from the first."""
    return guidance(default) | {
        "description": "As guidance_scale, for the later steps, which bring out the detail."
    }


def seconds(default: int, *, maximum: int, minimum: int = 1) -> Declared:
    """Declares the length of a clip."""
    return {
        "type": "integer",
        "default": default,
        "minimum": minimum,
        "maximum": maximum,
        "unit": "seconds",
        "description": "Length of the clip.",
    }


def frames(*, maximum: int, every: int = 4) -> Declared:
    """Declares an exact number of frames, in place of seconds: a multiple of `every`, and 1."""
    return {
        "type": "integer",
        "enum": [str(count) for count in range(every + 1, maximum + 1, every)],
        "description": "Exact number of frames, in place of target_video_length.",
    }


def side(name: str, *, maximum: int, multiple: int, minimum: int = 64) -> Declared:
    """Declares an exact width or height, in place of resolution and aspect ratio.

    A contract that bounds `max_pixels` takes both or neither.
    """
    return {
        "type": "integer",
        "minimum": minimum,
        "maximum": maximum,
        "unit": "pixels",
        "description": f"Exact {name}, together with the other side; rounded up to a multiple "
        f"of {multiple}.",
    }


def max_pixels(resolution: str, *, multiple: int) -> int:
    """Returns what bounds an exact size: the pixels of a named resolution in its largest shape.

    Both sides are rounded up to a multiple, so that shapes differ a little.
    """
    shapes = (
        size_of({"resolution": resolution, "aspect_ratio": each}, multiple=multiple)
        for each in ASPECT_RATIOS
    )
    return max(map(math.prod, shapes))


def choice(default: str, choices: Sequence[str], description: str) -> Declared:
    """Declares one of some words."""
    return {
        "type": "string",
        "default": default,
        "enum": list(choices),
        "description": description,
    }


def resolution(default: str, choices: Sequence[str]) -> Declared:
    """Declares the size of the result."""
    return choice(default, choices, "Size of the result: its pixels, in the aspect that is asked.")


def resolution_of_image(default: str, choices: Sequence[str]) -> Declared:
    """Declares the size of a result that is shaped like a picture which is given."""
    return choice(default, choices, "Size of the result: its pixels, in the picture's aspect.")


def exact_size(choices: Sequence[str]) -> Declared:
    """Declares the size of a result in pixels, for a model that has one for each aspect ratio."""
    return {
        "type": "string",
        "enum": list(choices),
        "description": "Exact width and height, in place of aspect_ratio.",
    }


def aspect_ratio(default: str = "16:9", choices: Sequence[str] = ASPECT_RATIOS) -> Declared:
    """Declares the shape of the result."""
    return choice(default, choices, "Width to height of the result.")


def output_format() -> Declared:
    """Declares the file type of a picture."""
    return choice("png", ("png", "jpg", "jpeg", "webp"), "File type of the picture.")


def batch(parameters: Iterable[str], *, max_size: int) -> Declared:
    """Declares that tasks can be made together: those that agree in all but words, seed and file.

    Args:
        parameters: All of the task.
        max_size: The most tasks.
    """
    return {"keys": [name for name in parameters if name not in OF_EACH], "max_size": max_size}


def generator(seed: int) -> Any:
    """Returns the noise of a request: drawn on the CPU, so that every device draws the same."""
    import torch

    return torch.Generator("cpu").manual_seed(seed)
