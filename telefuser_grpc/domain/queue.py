"""What waits and what runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The ids of waiting tasks, the next to start first, and of running ones, the oldest first.

    Attributes:
        limit: The most tasks that may wait and run together.
        expected_starts: When waiting tasks are expected to start, where that can be told.
        ended_count: Tasks that have ended since the server started.
    """

    waiting: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    limit: int = 0
    expected_starts: Mapping[str, datetime] = field(default_factory=dict)
    ended_count: int = 0
