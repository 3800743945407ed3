"""What a download answers: the whole file, a part of it, nothing new, or an impossible range."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from telefuser_grpc.domain.artifact import Artifact

SINGLE_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE)
IMMUTABLE = "private, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An answer: HTTP status 200, 206, 304 or 416, the bytes from `start` to `stop`, headers."""

    status: int
    start: int = 0
    stop: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


def plan_download(artifact: Artifact, request: Mapping[str, str]) -> Download:
    """Decides by the request's headers (lower-case names) as RFC 9110 asks."""
    tag = etag(artifact)
    headers = {
        "accept-ranges": "bytes",
        "etag": tag,
        "cache-control": IMMUTABLE,
        "content-disposition": disposition(artifact.filename),
        "x-content-type-options": "nosniff",
    }
    if _matches(request.get("if-none-match", ""), tag):
        return Download(status=304, headers=headers)
    size = artifact.size_bytes
    wanted = SINGLE_RANGE.fullmatch(request.get("range", ""))
    if wanted is None or not _is_range(*wanted.groups()) or request.get("if-range", tag) != tag:
        return Download(status=200, stop=size, headers=headers)
    start, stop = _bounds(wanted[1], wanted[2], size)
    if start >= stop:
        return Download(status=416, headers={"content-range": f"bytes */{size}"})
    content_range = f"bytes {start}-{stop - 1}/{size}"
    return Download(
        status=206, start=start, stop=stop, headers=headers | {"content-range": content_range}
    )


def etag(artifact: Artifact) -> str:
    """Returns the artifact's strong entity tag."""
    return f'"{artifact.sha256[:32]}"'


def disposition(filename: str) -> str:
    """Returns a `Content-Disposition` that keeps names beyond ASCII (RFC 6266)."""
    ascii_name = re.sub(r'[^\x20-\x7e]|["\\]', "_", filename)
    if ascii_name == filename:
        return f'attachment; filename="{filename}"'
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _is_range(first: str, last: str) -> bool:
    return int(first) <= int(last) if first and last else bool(first or last)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1, size) if last else size


def _matches(condition: str, tag: str) -> bool:
    tags = [each.strip().removeprefix("W/") for each in condition.split(",")]
    return "*" in tags or tag in tags
