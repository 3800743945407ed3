"""Runs no empty prompt, so that a warm-up with defaults fails."""

from typing import Any

PIPELINE_CONTRACT = {
    "pipeline_name": "picky",
    "supported_tasks": ["t2v"],
    "task_contracts": {"t2v": {"media_type": "none"}},
}


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> None:
    if not request.get("prompt"):
        raise ValueError("the prompt must not be empty")
