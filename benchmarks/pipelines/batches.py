"""Denoises with a tiny network, several tasks at once: bound by its overhead, or by computing.

`overhead` milliseconds pass in each step however many are made; `work` matrix products are
computed in it for each.
"""

import time
from collections.abc import Sequence
from typing import Any

import torch

PIPELINE_CONTRACT = {
    "pipeline_name": "batches",
    "supported_tasks": ["t2v"],
    "task_contracts": {
        "t2v": {
            "media_type": "none",
            "batch": {"keys": ["steps", "overhead", "work"], "max_size": 8},
        }
    },
}
SIZE = 256


def get_pipeline() -> Any:
    torch.set_num_threads(1)
    return torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0)) / SIZE**0.5


def run(pipeline: Any, request: dict[str, Any], context: Any) -> None:
    run_batch(pipeline, [request], [context])


def run_batch(
    pipeline: Any, requests: Sequence[dict[str, Any]], contexts: Sequence[Any]
) -> list[None]:
    shape = requests[0]
    latents = torch.cat([_noise(request.get("seed") or 0) for request in requests])
    for step in range(1, shape["steps"] + 1):
        time.sleep(shape["overhead"] / 1000)
        for _ in range(shape["work"]):
            latents = torch.tanh(pipeline @ latents)
        for context in contexts:
            context.progress(step, shape["steps"])
    return [None] * len(requests)


def _noise(seed: int) -> Any:
    return torch.randn(1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
