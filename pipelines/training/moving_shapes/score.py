"""Scores the released weights: does a clip show what its prompt says?

Every prompt is drawn by the pipeline file as it is served, and measured from its pixels; a clip
drawn by the formula of the training data is measured the same way, to show what the measure can do.
"""

import argparse
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import SimpleNamespace

import moving_shapes
import numpy as np
import torch
from training.moving_shapes.data import (
    BACKGROUNDS,
    COLOURS,
    FRAMES,
    MOTIONS,
    SHAPES,
    Scene,
    draw_clips,
    random_caption,
)
from training.moving_shapes.measure import centroid, masks_of, measure, overlap

WORDS = ("background", "colour", "shape", "motion")
TRAVEL = 30
"""Pixels a moving shape should travel from the first to the last frame."""

Sampler = Callable[[int, Scene], np.ndarray]


def score(name: str, scenes: list[Scene], sample: Sampler) -> None:
    """Print the share of clips whose words agree with their scene."""
    right: Counter[str] = Counter()
    overlaps, travels = [], []
    for index, scene in enumerate(scenes):
        clip = sample(index, scene)
        seen = measure(clip)
        agreed = [word for word in WORDS if seen[word] == getattr(scene, word)]
        right.update([*agreed, "all four"] if len(agreed) == len(WORDS) else agreed)
        overlaps.append(overlap(masks_of(clip), scene.shape))
        travels.append(travel(clip))
    shares = "  ".join(f"{word} {right[word] / len(scenes):.1%}" for word in (*WORDS, "all four"))
    moving = [t for t, scene in zip(travels, scenes, strict=True) if scene.motion != "still"]
    print(f"{name} ({len(scenes)} prompts)  {shares}")
    print(f"  overlap with the shape {np.mean(overlaps):.3f}")
    if moving:
        print(f"  travel {np.mean(moving):.1f} ± {np.std(moving):.1f} of {TRAVEL} pixels")


def travel(clip: np.ndarray) -> float:
    """Pixels from the first frame's shape to the last one's; 0 where there is no shape."""
    first, *_, last = masks_of(clip)
    if not (first.any() and last.any()):
        return 0.0
    return float(np.abs(centroid(last) - centroid(first)).max())


def all_scenes() -> list[Scene]:
    """Every scene there is, in an order that is the same every time."""
    scenes = [Scene(*words) for words in itertools.product(COLOURS, BACKGROUNDS, SHAPES, MOTIONS)]
    random.Random(0).shuffle(scenes)
    return scenes


def from_formula(index: int, scene: Scene) -> np.ndarray:
    """The clip the training data would show."""
    clip = draw_clips([scene], torch.Generator().manual_seed(index))[0]
    return ((clip.movedim(1, -1) + 1) * 127.5).round().to(torch.uint8).numpy()


def from_prompts(task: str, caption: Callable[[int, Scene], str]) -> Sampler:
    """The clip (or the image, repeated) that the served pipeline draws."""
    pipeline = moving_shapes.get_pipeline()
    context = SimpleNamespace(on_step_end=lambda pipe, index, timestep, tensors: tensors)

    def sample(index: int, scene: Scene) -> np.ndarray:
        request = {"task": task, "prompt": caption(index, scene), "seed": index}
        result = moving_shapes.run(pipeline, request, context)
        return _as_clip(result.get("frames") or result["images"] * FRAMES)

    return sample


def _as_clip(frames: Iterable) -> np.ndarray:
    return np.stack([np.asarray(frame) for frame in frames])


def _plain(index: int, scene: Scene) -> str:
    return scene.caption


def _varied(index: int, scene: Scene) -> str:
    """A wording that leaves nothing out."""
    rng = random.Random(index)
    captions = (random_caption(scene, rng) for _ in itertools.count())
    said = (scene.colour, scene.background, scene.shape)
    return next(text for text in captions if all(w in text.replace("grey", "gray") for w in said))


def main() -> None:
    """Read the command line and score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=480, help="how many of the 480 scenes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scenes = all_scenes()[: arguments.prompts]
    score("formula", scenes, from_formula)
    started = time.perf_counter()
    score("video, plain wording", scenes, from_prompts("t2v", _plain))
    print(f"  {(time.perf_counter() - started) / len(scenes):.2f} s per clip")
    score("video, varied wording", scenes, from_prompts("t2v", _varied))
    still = [scene for scene in scenes if scene.motion == "still"]
    score("image, plain wording", still, from_prompts("t2i", _plain))


if __name__ == "__main__":
    main()
