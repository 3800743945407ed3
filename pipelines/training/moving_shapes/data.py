"""Captioned clips drawn by a formula: one flat shape on a flat background, at a constant speed."""

import itertools
import random
from dataclasses import dataclass

import torch

SIZE = 64
FRAMES = 16
SPEED = 2.0
"""Pixels a moving shape travels between two frames."""
OFF_MIDDLE = 4
"""Pixels a shape may be away from the middle, across its motion."""
ANYWHERE = 17
"""Pixels a shape may be away from the middle where it is to be found anywhere."""
HELD_OUT = 60
"""Scenes of the 480 that are never trained on, neither drawn nor named."""

COLOURS = {
    "red": (225, 40, 40),
    "orange": (245, 145, 30),
    "yellow": (240, 225, 50),
    "green": (40, 190, 70),
    "cyan": (50, 215, 230),
    "blue": (50, 90, 240),
    "purple": (160, 60, 205),
    "white": (245, 245, 245),
}
BACKGROUNDS = {
    "black": (10, 10, 14),
    "gray": (115, 115, 120),
    "navy": (15, 25, 85),
    "brown": (95, 60, 35),
}
SHAPES = ("circle", "square", "triangle")
MOTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "still": (0, 0)}


@dataclass(frozen=True, slots=True)
class Scene:
    """What a caption says: the words a clip is drawn from, and the words the scorer looks for."""

    colour: str
    background: str
    shape: str
    motion: str


def all_scenes() -> list[Scene]:
    """Every scene there is, in an order that is the same every time; the held-out ones first."""
    scenes = [Scene(*words) for words in itertools.product(COLOURS, BACKGROUNDS, SHAPES, MOTIONS)]
    random.Random(0).shuffle(scenes)
    return scenes


def draw_clips(
    scenes: list[Scene], starts: torch.Tensor, generator: torch.Generator, frames: int = FRAMES
) -> torch.Tensor:
    """Clips (clips, frames, 3, height, width) with values in [-1, 1]; the generator chooses sizes.

    `starts` (clips, 2) says where the middle of each shape is in the first frame.
    """
    direction = torch.tensor([MOTIONS[s.motion] for s in scenes], dtype=torch.float)
    travel = SPEED * torch.arange(frames)[None, :, None] * direction[:, None]
    position = starts[:, None] + travel
    radius = 11 + 1.5 * torch.rand(len(scenes), 1, 1, 1, generator=generator)
    axis = torch.arange(SIZE) + 0.5
    dx = axis[None, None, None, :] - position[:, :, 0, None, None]
    dy = axis[None, None, :, None] - position[:, :, 1, None, None]
    cover = (signed_distance([s.shape for s in scenes], dx, dy, radius) + 0.5).clamp(0, 1)
    inside = _palette(COLOURS, [s.colour for s in scenes])
    outside = _palette(BACKGROUNDS, [s.background for s in scenes])
    return torch.lerp(outside, inside, cover[:, :, None])


def usual_starts(scenes: list[Scene], generator: torch.Generator) -> torch.Tensor:
    """Starts from which a moving shape crosses the middle of the frame half-way through.

    The generator chooses how far a path (a still shape: its place) is off the middle.
    """
    direction = torch.tensor([MOTIONS[s.motion] for s in scenes], dtype=torch.float)
    place = SIZE / 2 + OFF_MIDDLE * (2 * torch.rand(len(scenes), 2, generator=generator) - 1)
    middle = torch.where(direction != 0, SIZE / 2, place)
    return middle - direction * SPEED * (FRAMES - 1) / 2


def starts_anywhere(count: int, generator: torch.Generator) -> torch.Tensor:
    """Starts all over the frame."""
    return SIZE / 2 + ANYWHERE * (2 * torch.rand(count, 2, generator=generator) - 1)


def signed_distance(
    shapes: list[str], dx: torch.Tensor, dy: torch.Tensor, radius: torch.Tensor
) -> torch.Tensor:
    """Pixels from a point to the outline of its shape, positive inside."""
    circle = radius - torch.sqrt(dx * dx + dy * dy)
    square = 0.88 * radius - torch.maximum(dx.abs(), dy.abs())
    triangle = torch.minimum(0.8 * radius - dy, 0.5 * (dy + 1.1 * radius) - 0.87 * dx.abs())
    index = torch.tensor([SHAPES.index(shape) for shape in shapes])[:, None, None, None]
    return torch.where(index == 0, circle, torch.where(index == 1, square, triangle))


def _palette(colours: dict[str, tuple[int, int, int]], names: list[str]) -> torch.Tensor:
    rgb = torch.tensor([colours[name] for name in names], dtype=torch.float)
    return (rgb / 127.5 - 1)[:, None, :, None, None]
