"""Writes to the replica's own channel: noise, or a frame of a task that is not its own."""

import os
import stat
from pathlib import Path
from typing import Any

PIPELINE_CONTRACT = {
    "pipeline_name": "lying",
    "supported_tasks": ["t2v"],
    "task_contracts": {"t2v": {"media_type": "none"}},
}
STRANGER = b'{"type":"Stopped","task_id":"somebody else","attempt":1}'
HUGE = b"\xff\xff\xff\xff"


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> None:
    match request.get("prompt"):
        case "noise":
            _write(len(b"noise").to_bytes(4, "big") + b"noise")
        case "huge":
            _write(HUGE)
        case "stranger":
            _write(len(STRANGER).to_bytes(4, "big") + STRANGER)


def _write(data: bytes) -> None:
    for entry in list(Path("/proc/self/fd").iterdir()):
        if entry.name not in "012" and _is_socket(int(entry.name)):
            os.write(int(entry.name), data)


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False
