"""Draws noise that a tiny network has denoised, several pictures at once, and does as told.

A call costs the same however many it draws. Requests may name a `log`, to which each call adds
the ids of its tasks, a `gate` that is read after the first step, and in `prompt` what goes wrong.
"""

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

PIPELINE_CONTRACT = {
    "pipeline_name": "batching",
    "supported_tasks": ["t2i"],
    "task_contracts": {
        "t2i": {
            "parameters": {
                "prompt": {"type": "string", "default": ""},
                "steps": {"type": "integer", "default": 3},
                "seed": {"type": "integer", "default": 0},
            },
            "batch": {"keys": ["steps"], "max_size": 4},
        }
    },
}
SIZE = 24
CALL_SECONDS = 0.1


def get_pipeline() -> Any:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(SIZE, SIZE, generator=generator) / SIZE**0.5


def run(pipeline: Any, request: dict[str, Any], context: Any) -> Any:
    return run_batch(pipeline, [request], [context])[0]


def run_batch(
    pipeline: Any, requests: Sequence[dict[str, Any]], contexts: Sequence[Any]
) -> list[Any]:
    _note([request["task_id"] for request in requests], requests[0].get("log", os.devnull))
    time.sleep(CALL_SECONDS)
    latents = torch.cat([_noise(request["seed"]) for request in requests])
    steps = requests[0]["steps"]
    for step in range(1, steps + 1):
        latents = latents - torch.tanh(pipeline @ latents) / steps
        for context in contexts:
            context.progress(step, steps)
        if step == 1:
            for request in requests:
                _obey(request, size=len(requests))
    return list((latents.sigmoid() * 255).byte().permute(0, 2, 3, 1).numpy()[:, None])


def _noise(seed: int) -> Any:
    return torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def _note(tasks: list[str], log: str) -> None:
    with Path(log).open("a") as file:
        file.write(json.dumps(tasks) + "\n")


def _obey(request: dict[str, Any], *, size: int) -> None:
    if "gate" in request:
        Path(request["gate"]).read_bytes()
    match request["prompt"]:
        case "raise":
            raise ValueError("cannot draw that")
        case "together" if size > 1:
            raise MemoryError
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
