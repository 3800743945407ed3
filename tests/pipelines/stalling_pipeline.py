"""Never ends by itself: steps for ever, or hangs after the first step when the prompt is `hang`."""

import time
from typing import Any

PIPELINE_CONTRACT = {
    "pipeline_name": "stalling",
    "supported_tasks": ["t2v"],
    "task_contracts": {"t2v": {"media_type": "none"}},
}
STEP_SECONDS = 0.01
LONG_SECONDS = 3600


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> None:
    step = 0
    while request.get("steps") is None or step < request["steps"]:
        step += 1
        if request.get("prompt") == "hang":
            _hang(context)
        context.progress(step, 0)
        time.sleep(STEP_SECONDS)


def _hang(context: Any) -> None:
    try:
        context.progress(1, 0)
    finally:  # a cancel may already have come
        time.sleep(LONG_SECONDS)
