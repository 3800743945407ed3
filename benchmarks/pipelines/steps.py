"""Takes `steps` steps of `milliseconds` each, and writes when each was done into `times`."""

import os
import time
from pathlib import Path
from typing import Any

PIPELINE_CONTRACT = {
    "pipeline_name": "steps",
    "supported_tasks": ["t2v"],
    "task_contracts": {"t2v": {"media_type": "none"}},
}


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> None:
    steps = int(request.get("steps", 1))
    with Path(request.get("times", os.devnull)).open("w", buffering=1) as times:
        for step in range(1, steps + 1):
            time.sleep(request.get("milliseconds", 0) / 1000)
            times.write(f"{time.time_ns()}\n")
            context.progress(step, steps)
