"""Writes to the replica's own channel what the prompt names: noise, or frames that are not true."""

import json
import os
import stat
from pathlib import Path
from typing import Any

PIPELINE_CONTRACT = {
    "pipeline_name": "lying",
    "supported_tasks": ["t2v", "t2i"],
    "task_contracts": {"t2v": {"media_type": "none"}, "t2i": {"media_type": "image"}},
}
SECRET = "/etc/passwd"


def get_pipeline() -> object:
    return object()


def run(pipeline: object, request: dict[str, Any], context: Any) -> Any:
    me = {"task_id": request["task_id"], "attempt": 1}
    rendered = {"type": "Rendered", **me, "report": {"inference_seconds": 1.0}}
    finished = {"type": "Finished", **me, "files": []}
    step = {"type": "Stepped", **me, "progress": {"step": 1, "steps": 4}}
    match request.get("prompt"):
        case "noise":
            _write(len(b"noise").to_bytes(4, "big") + b"noise")
        case "huge":
            _write(b"\xff\xff\xff\xff")
        case "unknown":
            _tell({"type": "Surprise", **me})
        case "stranger":
            _tell({"type": "Stopped", "task_id": "somebody else", "attempt": 1})
        case "other attempt":
            _tell(step | {"attempt": 7})
        case "too early":
            _tell(finished)
        case "rendered twice":
            _tell(rendered)
        case "done twice":
            _tell(rendered, finished, finished)
        case "step after done":
            _tell(rendered, finished, step)
        case "loaded twice":
            _tell({"type": "LoadFailed", "message": "after all"})
        case "secret":
            _tell(rendered, finished | {"files": [_file(request, SECRET)]})
        case "link":
            path = Path(request["output_path"])
            path.parent.mkdir()
            path.symlink_to(SECRET)
            _tell(rendered, finished | {"files": [_file(request, str(path))]})


def _file(request: dict[str, Any], path: str) -> dict[str, Any]:
    return {
        "path": path,
        "name": "a.png",
        "size_bytes": Path(path).stat().st_size,
        "sha256": "0" * 64,
        "facts": {"content_type": "image/png"},
    }


def _tell(*frames: dict[str, Any]) -> None:
    for frame in frames:
        body = json.dumps(frame).encode()
        _write(len(body).to_bytes(4, "big") + body)


def _write(data: bytes) -> None:
    for entry in list(Path("/proc/self/fd").iterdir()):
        if entry.name not in "012" and _is_socket(int(entry.name)):
            os.write(int(entry.name), data)


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False
