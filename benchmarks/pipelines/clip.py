"""Makes `frames` frames of noise in no time, which take long to encode; notes both ends of a run.

The file `times` gets the nanoseconds at which the run was entered and left.
"""

import time
from pathlib import Path
from typing import Any

PIPELINE_CONTRACT = {
    "pipeline_name": "clip",
    "supported_tasks": ["t2v"],
    "task_contracts": {"t2v": {"media_type": "video"}},
}
SIDE = 256


def get_pipeline() -> Any:
    import numpy as np

    return np.random.default_rng(1).integers(0, 256, (16, SIDE, SIDE, 3), dtype=np.uint8)


def run(pipeline: Any, request: dict[str, Any], context: Any) -> Any:
    entered = time.time_ns()
    frames = [pipeline[index % len(pipeline)] for index in range(int(request["frames"]))]
    Path(request["times"]).write_text(f"{entered}\n{time.time_ns()}\n")
    return frames
