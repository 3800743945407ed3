"""Loads when the file that `TEST_DOOR` names lets it, and waits at the gate of a request."""

import os
from pathlib import Path
from typing import Any

PIPELINE_CONTRACT = {
    "pipeline_name": "mortal",
    "supported_tasks": ["t2v"],
    "task_contracts": {"t2v": {"media_type": "none"}},
}


def get_pipeline(parallelism: int) -> object:
    if Path(os.environ["TEST_DOOR"]).read_text() == "shut":
        raise RuntimeError("the weights are gone")
    return parallelism


def run(pipeline: object, request: dict[str, Any], context: Any) -> None:
    context.progress(1, 2)
    if "gate" in request:
        Path(request["gate"]).read_bytes()
    if request["prompt"] == "devices":
        visible = os.environ["CUDA_VISIBLE_DEVICES"]
        raise ValueError(f"{visible} of {pipeline}")
