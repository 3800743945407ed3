"""The names that callers may choose: of a task, and of the file it makes."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.errors import InvalidFields, OutputPathRejected, Violation

TASK_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
EXTENSIONS: Mapping[MediaType, tuple[str, ...]] = {
    MediaType.VIDEO: ("mp4", "webm", "gif"),
    MediaType.IMAGE: ("png", "jpg", "jpeg", "webp", "gif"),
}
MAX_PART_BYTES = 200  # a file system takes 255; the store puts `.<hex>.part` behind a name
MAX_PATH_BYTES = 1024

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
MADE_ID = re.compile(rf"task_[0-7][{CROCKFORD}]{{25}}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def task_id_violation(task_id: str) -> Violation | None:
    """Returns what is wrong with a task id that a caller has chosen."""
    if TASK_ID_PATTERN.fullmatch(task_id):
        return None
    why = "must begin with a letter or digit and have at most 128 letters, digits, '.', '_' and '-'"
    return Violation("task_id", why, "string_pattern_mismatch")


def new_task_id(now: datetime, entropy: bytes) -> str:
    """Returns `task_` and a lower-case ULID made of a time and 10 random bytes."""
    assert len(entropy) == 10, len(entropy)
    milliseconds = (now - EPOCH) // timedelta(milliseconds=1)
    number = int.from_bytes(milliseconds.to_bytes(6) + entropy)
    return "task_" + "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def time_of_task_id(task_id: str) -> datetime | None:
    """Returns the millisecond in which the service made an id; None of ids that others chose."""
    if not MADE_ID.fullmatch(task_id):
        return None
    number = 0
    for digit in task_id.removeprefix("task_"):
        number = number << 5 | CROCKFORD.index(digit)
    try:
        return EPOCH + timedelta(milliseconds=number >> 80)
    except OverflowError:
        return None


def output_name(task_id: str, media_type: MediaType, fields: Mapping[str, Any]) -> str:
    """Returns the path, relative to the task's outputs, of the file that a task makes.

    It is the caller's `output_path`, normalised, or the task's id with the usual extension; "" for
    tasks that make no file.

    Raises:
        OutputPathRejected: The caller's path leaves the outputs or is no name of such a file.
        InvalidFields: The format is none for an image.
    """
    if media_type is MediaType.NONE:
        return ""
    wanted = fields.get("output_path")
    if wanted is None or wanted == "":
        return f"{task_id}.{_default_extension(media_type, fields)}"
    return _checked(wanted, EXTENSIONS[media_type])


def _default_extension(media_type: MediaType, fields: Mapping[str, Any]) -> str:
    if media_type is MediaType.VIDEO:
        return "mp4"
    extension = fields.get("output_format") or "png"
    if extension not in EXTENSIONS[media_type]:
        why = f"must be one of {', '.join(EXTENSIONS[media_type])}"
        raise InvalidFields([Violation("output_format", why, "enum")])
    return str(extension)


def _checked(wanted: Any, extensions: tuple[str, ...]) -> str:
    if not isinstance(wanted, str):
        raise OutputPathRejected("output_path must be a string")
    if not wanted.isprintable() or "\\" in wanted:
        raise OutputPathRejected("output_path must not hold control characters or backslashes")
    if wanted.startswith("/"):
        raise OutputPathRejected("Absolute paths are not allowed")
    parts = _normalised(wanted)
    _check_length(parts)
    _check_file_name(wanted, parts, extensions)
    return "/".join(parts)


def _normalised(path: str) -> list[str]:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise OutputPathRejected("Path escapes the service cache directory")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts


def _check_length(parts: list[str]) -> None:
    lengths = [len(part.encode()) for part in parts]
    if any(length > MAX_PART_BYTES for length in lengths):
        raise OutputPathRejected(f"output_path has a part longer than {MAX_PART_BYTES} bytes")
    if sum(lengths) + len(parts) > MAX_PATH_BYTES:
        raise OutputPathRejected(f"output_path is longer than {MAX_PATH_BYTES} bytes")


def _check_file_name(wanted: str, parts: list[str], extensions: tuple[str, ...]) -> None:
    stem, _, extension = parts[-1].rpartition(".") if parts else ("", "", "")
    if not stem or wanted.endswith("/") or extension.lower() not in extensions:
        endings = ", ".join(f".{each}" for each in extensions)
        raise OutputPathRejected(f"output_path must name a file that ends with one of {endings}")
