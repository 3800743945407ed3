"""Moving shapes as a world that anybody can walk in: keys push a shape about, on CPU cores.

Serve it with `telefuser stream-serve pipelines/stream_moving_shapes.py`. A session begins with a
shape that its prompt names, or with a picture of its client's. Of the keys it has w, s, a and d:
up, down, left and right. The model knows no turns, so that there are no i, k, j and l.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageOps

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.loader import import_file
from telefuser_grpc.pipeline.world import WorldService
from telefuser_grpc.pipeline.world_config import WorldConfig
from telefuser_grpc.pipeline.world_controls import Controls
from telefuser_grpc.pipeline.world_model import Progress, WorldTraits

PROMPT = "a red circle on a navy background"
MOTIONS = {"w": ("up", 0, -1), "s": ("down", 0, 1), "a": ("left", -1, 0), "d": ("right", 1, 0)}
"""What a key is called in a prompt, and where it leads, across and down."""
OF_MOTION = frozenset({"up", "down", "left", "right", "still", "moving", "standing", "not", "to"})
SIZE = 64
HOP = 5
"""Frames that the model draws at once after a frame."""
REACH = 10
"""Pixels that it moves in them."""
FARTHEST = 30
"""How far a picture is moved that shows no shape on a plain background."""
MARGIN = 3
"""Pixels that stay free beside a shape; what touches an edge is smeared."""
CONTRAST = 48
"""How much a shape differs from the background, of 255."""
STEPS_OF_THE_FIRST, GUIDANCE = 12, 1.5

TRAITS = WorldTraits(
    name="MovingShapesWorld",
    stride=HOP,
    max_duration_seconds=600.0,
    needs_image=False,
    keys="wsad",
    defaults={
        "fps": 8,
        "chunk_size": 1,
        "num_inference_steps": 3,
        "show_control_hud": False,  # the pictures are too small for it
    },
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk has led.

    Attributes:
        first: The picture that it began with.
        words: What that shows, without a motion.
        across, down: How far, in pixels, everything has moved since.
        hops: How many there were.
    """

    first: Image.Image
    words: str
    seed: int
    steps: int
    across: int = 0
    down: int = 0
    hops: int = 0


@dataclass(slots=True)
class MovingShapesWorld:
    """The embedded model, one hop of five frames after the other."""

    traits: ClassVar[WorldTraits] = TRAITS
    pipe: Any = None

    def load(self) -> None:
        """Load the weights, and draw once."""
        shapes: ModuleType = import_file(Path(__file__).with_name("moving_shapes.py"))
        self.pipe = shapes.get_pipeline()
        shapes.warmup(self.pipe)

    def begin(self, image: Image.Image | None, config: WorldConfig) -> tuple[Image.Image, Place]:
        """Draw the first picture, or take the client's."""
        words = self._words(config.prompt)
        if image is None:
            words = words or PROMPT
            image = self.pipe(
                words,
                num_frames=1,
                num_inference_steps=STEPS_OF_THE_FIRST,
                guidance_scale=GUIDANCE,
                negative_prompt=config.negative_prompt,
                generator=declare.generator(config.seed),
            ).frames[0][0]
        first = ImageOps.fit(image, (SIZE, SIZE))
        return first, Place(first, words, config.seed, config.num_inference_steps or 1)

    def generate(
        self, state: Place, controls: Controls, frames: int, progress: Progress
    ) -> tuple[Sequence[Image.Image], Place]:
        """Draw hop after hop; before an edge the shape stays where it is."""
        made: list[Image.Image] = []
        while len(made) < frames:
            progress(step=len(made) // HOP + 1, total_steps=frames // HOP)
            key = next_key(state, controls.keys)
            made += self._hop(state, key) if key else [picture_at(state)] * HOP
            state = moved(state, key)
        return made, state

    def end(self, state: Place) -> None:
        """Hold nothing."""

    def _hop(self, place: Place, key: str) -> list[Image.Image]:
        motion, _, _ = MOTIONS[key]
        frames: list[Image.Image] = self.pipe(
            f"{place.words} moving {motion}",
            picture_at(place),
            num_frames=HOP + 1,
            num_inference_steps=place.steps,
            guidance_scale=1.0,
            generator=declare.generator(place.seed + place.hops),
        ).frames[0]
        return frames[1:]

    def _words(self, prompt: str) -> str:
        """Return what the model reads in a prompt, in its own words and without a motion."""
        tokenizer = self.pipe.tokenizer
        read = tokenizer.decode(tokenizer(prompt).input_ids, skip_special_tokens=True)
        return " ".join(word for word in read.split() if word not in OF_MOTION)


def next_key(place: Place, keys: Sequence[str]) -> str:
    """Return which of the keys that are held is obeyed now: they take turns; "" stays."""
    free = [key for key in keys if _has_room(moved(place, key))]
    return free[place.hops % len(free)] if free else ""


def moved(place: Place, key: str) -> Place:
    """Return the place that one hop leads to."""
    _, across, down = MOTIONS.get(key, ("", 0, 0))
    return replace(
        place,
        across=place.across + REACH * across,
        down=place.down + REACH * down,
        hops=place.hops + 1,
    )


def picture_at(place: Place) -> Image.Image:
    """Return the first picture, moved to where the walk has led.

    The model draws each hop from that and not from its own last frame, whose small errors would
    add up: after some fifty hops a shape is gone.
    """
    away = max(abs(place.across), abs(place.down))
    wide = np.pad(np.array(place.first), ((away, away), (away, away), (0, 0)), mode="edge")
    top, left = away - place.down, away - place.across
    return Image.fromarray(wide[top : top + SIZE, left : left + SIZE])


def _has_room(place: Place) -> bool:
    """Tell whether nothing of the shape would touch an edge."""
    box = _shape_box(place.first)
    if box is None:
        return max(abs(place.across), abs(place.down)) <= FARTHEST
    left, top, right, bottom = box
    return (
        min(left + place.across, top + place.down) >= MARGIN
        and max(right + place.across, bottom + place.down) < SIZE - MARGIN
    )


def _shape_box(picture: Image.Image) -> tuple[int, int, int, int] | None:
    """Return what differs from the background: first and last column and row; None for none."""
    pixels = np.asarray(picture).astype(int)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    differs = np.abs(pixels - np.median(border, axis=0)).max(-1) > CONTRAST
    rows, columns = np.nonzero(differs)
    if not len(rows) or differs[[0, -1]].any() or differs[:, [0, -1]].any():
        return None
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def get_service(media_roots: Sequence[str] = ()) -> WorldService[Place]:
    """Return the world as a service; there is nothing to split over devices."""
    return WorldService(MovingShapesWorld(), media_roots=media_roots)
