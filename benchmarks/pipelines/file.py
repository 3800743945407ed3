"""Hands out the clip at `clip` as if it had made it."""

import shutil
from typing import Any

PIPELINE_CONTRACT = {
    "pipeline_name": "file",
    "supported_tasks": ["t2v"],
    "task_contracts": {"t2v": {"media_type": "video"}},
}


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> str:
    output = str(request["output_path"])
    shutil.copyfile(request["clip"], output)
    return output
