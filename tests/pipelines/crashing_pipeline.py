"""Goes wrong in the way that the prompt names, and works for any other prompt."""

import os
import signal
import subprocess
from typing import Any

PIPELINE_CONTRACT = {
    "pipeline_name": "crashing",
    "supported_tasks": ["t2v"],
    "task_contracts": {"t2v": {"media_type": "none"}},
}


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> None:
    context.progress(1, 2)
    match request.get("prompt"):
        case "raise":
            raise ValueError("a fault of the pipeline")
        case "memory":
            raise MemoryError
        case "device":
            raise RuntimeError("CUDA error: device-side assert triggered")
        case "exit":
            os._exit(3)
        case "abandon":
            child = subprocess.Popen(["sleep", "3600"])
            context.progress(child.pid, 0)
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    context.progress(2, 2)
