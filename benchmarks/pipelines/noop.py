"""Makes nothing, at once: what is measured is the service itself."""

from typing import Any

PIPELINE_CONTRACT = {
    "pipeline_name": "noop",
    "supported_tasks": ["t2v"],
    "task_contracts": {"t2v": {"media_type": "none"}},
}


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> None:
    return None
