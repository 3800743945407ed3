"""A file that a task has made, and a file that a caller has sent."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """What decoding a file told: pixels, frames (1 for a still) and seconds (0 for a still).

    `has_sound` tells of a video whether sound comes with it.
    """

    content_type: str
    width: int = 0
    height: int = 0
    frame_count: int = 0
    duration_seconds: float = 0.0
    has_sound: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """A finished file that still lies in an attempt's scratch folder.

    Attributes:
        path: Where it lies, absolute.
        name: Its path relative to the task's outputs, with forward slashes.
        sha256: 64 lower-case hexadecimal digits.
    """

    path: str
    name: str
    size_bytes: int
    sha256: str
    facts: MediaFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that a completed task has made; `path` is relative to the store's root."""

    task_id: str
    path: str
    size_bytes: int
    sha256: str
    created_at: datetime
    facts: MediaFacts

    @property
    def id(self) -> str:
        """The public name: `local:tasks/<id>/outputs/<videos|images>/<file>`."""
        return f"local:{self.path}"

    @property
    def filename(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def name(self) -> str:
        """The path below the task's own outputs folder, as `output_path` was asked for."""
        return self.path.split("/", 4)[4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that a caller has sent to be an input of tasks."""

    id: str
    size_bytes: int
    sha256: str
    created_at: datetime
    facts: MediaFacts
    owner: str = ""
