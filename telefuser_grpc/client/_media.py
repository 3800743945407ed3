"""Media of a task as a REST caller gives them: local files, or text that goes as it is."""

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

READY_PREFIXES = ("http://", "https://", "data:", "upload:")
FORM_FIELDS = {
    "first_image_path": "first_image_file",
    "last_image_path": "last_image_file",
    "ref_video_path": "ref_video_file",
    "pose_video_path": "pose_video_file",
    "face_video_path": "face_video_file",
    "mask_video_path": "mask_video_file",
    "audio_path": "audio_file",
}
MAX_SHOWN = 100
BASE64 = re.compile(r"[A-Za-z0-9+/]{64,}={0,2}")


def local_files(params: Mapping[str, Any]) -> dict[str, Path]:
    """Returns the files among a task's media, by field.

    Raises:
        FileNotFoundError: What is given is no file, no URL and no base64 text.
    """
    given = {name: params[name] for name in FORM_FIELDS if params.get(name)}
    return {
        name: _existing(name, Path(each)) for name, each in given.items() if not _is_ready(each)
    }


def encode(path: Path) -> str:
    """Returns a file's content as base64 text."""
    return base64.b64encode(path.read_bytes()).decode("ascii")


def _is_ready(value: str | os.PathLike[str]) -> bool:
    if isinstance(value, os.PathLike):
        return False
    return value.startswith(READY_PREFIXES) or _is_encoded(value)


def _is_encoded(text: str) -> bool:
    return len(text) % 4 == 0 and BASE64.fullmatch(text) is not None


def _existing(name: str, path: Path) -> Path:
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # too long for a path, or no path at all
        is_file = False
    if not is_file:
        raise FileNotFoundError(
            f"{name}: no file {str(path)[:MAX_SHOWN]!r}; "
            "give a local file, an http(s) URL or a data: URL"
        )
    return path
