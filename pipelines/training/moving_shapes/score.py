"""Scores the released weights: does a clip show what its prompt says?

The scenes were never trained on. Every prompt is drawn by the pipeline file as it is served, and
measured from its pixels; a clip drawn by the formula of the training data is measured the same way,
to show what the measure can do.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

import moving_shapes
import numpy as np
import torch
from PIL import Image
from training.moving_shapes.data import (
    FRAMES,
    HELD_OUT,
    Scene,
    all_scenes,
    draw_clips,
    usual_starts,
)
from training.moving_shapes.measure import centroid, masks_of, measure, overlap
from training.moving_shapes.words import chinese_caption, english_caption, plain_caption

WORDS = ("background", "colour", "shape", "motion")
TRAVEL = 30
"""Pixels a moving shape should travel from the first to the last frame."""

Caption = Callable[[Scene, random.Random], str]
Sampler = Callable[[int, Scene], np.ndarray]


def score(name: str, scenes: list[Scene], sample: Sampler, words: Sequence[str] = WORDS) -> None:
    """Print the share of clips whose words agree with their scene."""
    right: Counter[str] = Counter()
    overlaps, travels = [], []
    started = time.perf_counter()
    for index, scene in enumerate(scenes):
        clip = sample(index, scene)
        seen = measure(clip)
        agreed = [word for word in words if seen[word] == getattr(scene, word)]
        right.update([*agreed, "all"] if len(agreed) == len(words) else agreed)
        overlaps.append(overlap(masks_of(clip), scene.shape))
        travels.append(travel(clip))
    seconds = (time.perf_counter() - started) / len(scenes)
    shares = "  ".join(f"{word} {right[word] / len(scenes):.1%}" for word in (*words, "all"))
    print(f"{name} ({len(scenes)} prompts, {seconds:.1f} s each)  {shares}")
    print(f"  overlap with the shape {np.mean(overlaps):.3f}", flush=True)
    if "motion" in words:
        moving = [t for t, scene in zip(travels, scenes, strict=True) if scene.motion != "still"]
        print(
            f"  travel {np.mean(moving):.1f} ± {np.std(moving):.1f} of {TRAVEL} pixels", flush=True
        )


def travel(clip: np.ndarray) -> float:
    """Pixels from the first frame's shape to the last one's; 0 where there is no shape."""
    first, *_, last = masks_of(clip)
    if not (first.any() and last.any()):
        return 0.0
    return float(np.abs(centroid(last) - centroid(first)).max())


def from_formula(index: int, scene: Scene) -> np.ndarray:
    """The clip the training data would show."""
    generator = torch.Generator().manual_seed(index)
    clip = draw_clips([scene], usual_starts([scene], generator), generator)[0]
    return ((clip.movedim(1, -1) + 1) * 127.5).round().to(torch.uint8).numpy()


def from_prompts(
    pipeline: moving_shapes.MovingShapesPipeline, task: str, caption: Caption
) -> Sampler:
    """The clip, or the image, repeated; "i2v" is given the first frame of the formula."""
    context = SimpleNamespace(on_step_end=lambda pipe, index, timestep, tensors: tensors)
    folder = Path(tempfile.mkdtemp())

    def sample(index: int, scene: Scene) -> np.ndarray:
        prompt = caption(scene, random.Random(index))
        request = {"task": task, "prompt": prompt, "seed": index}
        if task == "i2v":
            request["first_image_path"] = str(folder / "first.png")
            Image.fromarray(from_formula(index, scene)[0]).save(request["first_image_path"])
        result = moving_shapes.run(pipeline, request, context)
        return _as_clip(result.get("frames") or result["images"] * FRAMES)

    return sample


def _as_clip(frames: Iterable) -> np.ndarray:
    return np.stack([np.asarray(frame) for frame in frames])


def _plain(scene: Scene, rng: random.Random) -> str:
    return plain_caption(scene)


def _motion_alone(scene: Scene, rng: random.Random) -> str:
    return "standing still" if scene.motion == "still" else f"moving {scene.motion}"


def main() -> None:
    """Read the command line and score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2, help="clips of each held-out scene")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = moving_shapes.get_pipeline()
    scenes = all_scenes()[:HELD_OUT] * arguments.times
    score("formula", scenes, from_formula)
    for name, task, caption in (
        ("video, plain English", "t2v", _plain),
        ("video, varied English", "t2v", english_caption),
        ("video, Chinese", "t2v", chinese_caption),
        ("image, plain English", "t2i", _plain),
        ("image, Chinese", "t2i", chinese_caption),
        ("video of a first frame, plain English", "i2v", _plain),
        ("video of a first frame, only the motion said", "i2v", _motion_alone),
    ):
        shown = WORDS if task != "t2i" else WORDS[:-1]
        score(name, scenes, from_prompts(pipeline, task, caption), shown)


if __name__ == "__main__":
    main()
