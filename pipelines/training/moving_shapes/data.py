"""Captioned clips drawn by a formula: one flat shape on a flat background, at a constant speed."""

import random
from dataclasses import dataclass

import torch

SIZE = 64
FRAMES = 16
SPEED = 2.0
"""Pixels a moving shape travels between two frames."""
OFF_MIDDLE = 5
"""Pixels a shape may be away from the middle, across its motion."""

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

MOTION_PHRASES = {
    "left": ("moving left", "moves left", "moving to the left", "going left", "sliding left"),
    "right": ("moving right", "moves right", "moving to the right", "going right", "sliding right"),
    "up": ("moving up", "moves up", "moving upwards", "going up", "rising"),
    "down": ("moving down", "moves down", "moving downwards", "going down", "falling"),
    "still": ("", "", "standing still", "not moving", "at rest"),
}
BACKGROUND_PHRASES = (
    "on a {} background",
    "on a {} background",
    "on {}",
    "{} background",
    "over a {} background",
)
ARTICLES = ("a", "a", "a", "the", "one", "")
CHANCE_NO_BACKGROUND = 0.06
CHANCE_BACKGROUND_FIRST = 0.15
CHANCE_NO_COLOUR = 0.03


@dataclass(frozen=True, slots=True)
class Scene:
    """What a caption says: the words a clip is drawn from, and the words the scorer looks for."""

    colour: str
    background: str
    shape: str
    motion: str

    @property
    def caption(self) -> str:
        """The scene in the plainest form of words."""
        motion = f" {MOTION_PHRASES[self.motion][0]}".rstrip()
        return f"a {self.colour} {self.shape}{motion} on a {self.background} background"


def random_scene(rng: random.Random) -> Scene:
    """One scene, every word equally likely."""
    words = (COLOURS, BACKGROUNDS, SHAPES, MOTIONS)
    return Scene(*(rng.choice(list(choices)) for choices in words))


def random_caption(scene: Scene, rng: random.Random) -> str:
    """One of many ways to say `scene`; now and then the background or the colour is left out."""
    colour = "" if rng.random() < CHANCE_NO_COLOUR else scene.colour
    subject = f"{rng.choice(ARTICLES)} {colour} {scene.shape}"
    motion = rng.choice(MOTION_PHRASES[scene.motion])
    background = rng.choice(BACKGROUND_PHRASES).format(_spelling(scene.background, rng))
    if rng.random() < CHANCE_NO_BACKGROUND:
        background = ""
    parts = [subject, motion, background]
    if rng.random() < CHANCE_BACKGROUND_FIRST:
        parts = [background, subject, motion]
    return " ".join(" ".join(parts).split())


def vocabulary() -> list[str]:
    """Every word a caption can hold, sorted."""
    phrases = [phrase for phrases in MOTION_PHRASES.values() for phrase in phrases]
    texts = [*phrases, *BACKGROUND_PHRASES, *ARTICLES, *COLOURS, *BACKGROUNDS, "grey", *SHAPES]
    return sorted({word for text in texts for word in text.replace("{}", "").split()})


def draw_clips(scenes: list[Scene], generator: torch.Generator) -> torch.Tensor:
    """Clips of shape (clips, frames, 3, height, width) with values in [-1, 1].

    A moving shape crosses the middle of the frame half-way through; the generator chooses its size
    and how far its path (a still shape: its place) is off the middle. That is little on purpose:
    what a caption decides must not drown in what it leaves open, or it is learned slowly.
    """
    position = _positions(scenes, generator)
    radius = 10.5 + 2 * torch.rand(len(scenes), 1, 1, 1, generator=generator)
    axis = torch.arange(SIZE) + 0.5
    dx = axis[None, None, None, :] - position[:, :, 0, None, None]
    dy = axis[None, None, :, None] - position[:, :, 1, None, None]
    cover = (signed_distance([s.shape for s in scenes], dx, dy, radius) + 0.5).clamp(0, 1)
    inside = _palette(COLOURS, [s.colour for s in scenes])
    outside = _palette(BACKGROUNDS, [s.background for s in scenes])
    return torch.lerp(outside, inside, cover[:, :, None])


def signed_distance(
    shapes: list[str], dx: torch.Tensor, dy: torch.Tensor, radius: torch.Tensor
) -> torch.Tensor:
    """Pixels from a point to the outline of its shape, positive inside."""
    circle = radius - torch.sqrt(dx * dx + dy * dy)
    square = 0.88 * radius - torch.maximum(dx.abs(), dy.abs())
    triangle = torch.minimum(0.8 * radius - dy, 0.5 * (dy + 1.1 * radius) - 0.87 * dx.abs())
    index = torch.tensor([SHAPES.index(shape) for shape in shapes])[:, None, None, None]
    return torch.where(index == 0, circle, torch.where(index == 1, square, triangle))


def _spelling(background: str, rng: random.Random) -> str:
    return rng.choice(("gray", "grey")) if background == "gray" else background


def _positions(scenes: list[Scene], generator: torch.Generator) -> torch.Tensor:
    direction = torch.tensor([MOTIONS[s.motion] for s in scenes], dtype=torch.float)
    place = SIZE / 2 + OFF_MIDDLE * (2 * torch.rand(len(scenes), 2, generator=generator) - 1)
    middle = torch.where(direction != 0, SIZE / 2, place)
    offset = SPEED * (torch.arange(FRAMES) - (FRAMES - 1) / 2)
    return middle[:, None] + direction[:, None] * offset[None, :, None]


def _palette(colours: dict[str, tuple[int, int, int]], names: list[str]) -> torch.Tensor:
    rgb = torch.tensor([colours[name] for name in names], dtype=torch.float)
    return (rgb / 127.5 - 1)[:, None, :, None, None]
