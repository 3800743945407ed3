"""Cannot be loaded."""

from typing import Any

PIPELINE_CONTRACT = {"pipeline_name": "broken", "supported_tasks": ["t2v"]}


def get_pipeline() -> object:
    raise RuntimeError("the weights are missing")


def run(pipeline: object, request: dict[str, Any], context: Any) -> None:
    return None
