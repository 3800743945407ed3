"""How fast a session of a world is, and how far it may run ahead of what is seen."""

import math
import time
from collections.abc import Callable
from typing import Any

HEADROOM = 1.5
"""A chunk may take that much longer than the last one without a halt of the picture."""
SLACK_SECONDS = 0.15

Clock = Callable[[], float]


class Pace:
    """Holds chunks that are made faster than they are seen, so that controls are obeyed soon."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._seen_until = clock()
        self._lead = 0.0

    def made(self, *, media_seconds: float, seconds: float) -> None:
        """Takes note of a chunk: how long it is, and how long it took."""
        self._seen_until = max(self._clock(), self._seen_until) + media_seconds
        self._lead = seconds * HEADROOM + SLACK_SECONDS

    def seconds_to_wait(self) -> float:
        """Returns after how long the next chunk is to be begun."""
        return max(0.0, self._seen_until - self._lead - self._clock())


class Metrics:
    """What a session tells of itself; a chunk's seconds run from its controls to its sending."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._opened = clock()
        self._heard: float | None = None
        self._first_output: float | None = None
        self._chunks: list[tuple[float, float]] = []

    def heard(self) -> None:
        """Takes note of the first control since the last chunk."""
        if self._heard is None:
            self._heard = self._clock()

    def sent(self, *, seconds: float, media_seconds: float) -> dict[str, Any]:
        """Takes note of a chunk and returns what is told of it."""
        now = self._clock()
        if self._first_output is None:
            self._first_output = now - self._opened
        waited = None if self._heard is None else _rounded(now - self._heard)
        self._heard = None
        self._chunks.append((seconds, media_seconds))
        return {
            "chunk_seconds": _rounded(seconds),
            "chunk_media_seconds": _rounded(media_seconds),
            "control_to_output_seconds": waited,
            **self._so_far(),
        }

    def summary(self, *, with_chunks: bool) -> dict[str, Any]:
        """Returns what is told at the end."""
        told = {"session_age_seconds": _rounded(self._clock() - self._opened), **self._so_far()}
        if with_chunks:
            told["chunks_seconds"] = [_rounded(seconds) for seconds, _ in self._chunks]
        return told

    def _so_far(self) -> dict[str, Any]:
        first = None if self._first_output is None else _rounded(self._first_output)
        ratios = sorted(seconds / media for seconds, media in self._chunks if media)
        slow = ratios[math.ceil(0.95 * len(ratios)) - 1] if ratios else None
        return {
            "first_output_seconds": first,
            "real_time_factor": None if slow is None else _rounded(slow),
        }


def _rounded(seconds: float) -> float:
    return round(seconds, 6)
