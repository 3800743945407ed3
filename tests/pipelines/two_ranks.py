"""Makes the same with one process and with two that share every step, and prints how they differ.

Is told its rank, where the two meet, and where the models lie, each under its pipeline's name.
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from telefuser_grpc.pipeline.batch_context import BatchContext
from telefuser_grpc.pipeline.context import RunContext
from telefuser_grpc.pipeline.context_parallel import Meeting, check_split, meet
from telefuser_grpc.pipeline.diffusers_hooks import diffusers_pipelines, hooked
from telefuser_grpc.pipeline.loader import load
from telefuser_grpc.pipeline.options import ModelOptions, Parallel
from tests.fakes.service import ROOT

SIZE = {"width": 80, "height": 80, "num_inference_steps": 2, "num_frames": 9}
PROMPTS = ("a cat in the sun", "a dog in the sea, and a car in the sun in the sea")
"""Of unequal lengths, so that one is padded."""


def main() -> None:
    """Prints the largest difference of a colour value, of 1, by pipeline."""
    rank, meeting, models = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    meet(Meeting(file=meeting, rank=rank, size=2))
    differences = {}
    for model in sorted(models.iterdir()):
        alone, together = _pictures(model, "spread"), _pictures(model, "context")
        differences[model.name] = float(np.abs(alone - together).max())
    sys.stdout.write(json.dumps(differences))
    sys.stdout.flush()
    os._exit(0)  # at once, before the other rank misses this one


def _pictures(model: Path, parallel: Parallel) -> Any:
    """Makes two things at once, and returns all their pictures."""
    options = ModelOptions(model=str(model), parallel=parallel)
    path = ROOT / "pipelines" / f"{model.name}.py"
    loaded = load(path, task=None, parallelism=2, options=options)
    if parallel == "context":
        check_split(diffusers_pipelines(loaded.pipeline))
    (task, *_) = loaded.contract.tasks.values()
    defaults = {name: each.default for name, each in task.parameters.items()}
    requests = [
        {**defaults, **SIZE, "negative_prompt": "", "prompt": prompt, "seed": seed}
        for seed, prompt in enumerate(PROMPTS)
    ]
    run = RunContext(report=lambda _: None, cancelled=threading.Event())
    context = BatchContext([run for _ in requests])
    with hooked(loaded.pipeline, context):
        made = loaded.module.run_batch(loaded.pipeline, requests, context.members)
    loaded.close()
    return np.stack([_as_floats(picture) for each in made for picture in _one_by_one(each)])


def _one_by_one(made: dict[str, Any]) -> Any:
    return made["frames"] if "frames" in made else made["images"]


def _as_floats(picture: Any) -> Any:
    array = np.asarray(picture)
    return array / 255 if array.dtype == np.uint8 else array.astype(float)


if __name__ == "__main__":
    main()
