"""How large the media of a task may be: what it is given, and what it makes."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from telefuser_grpc.domain.artifact import MediaFacts
from telefuser_grpc.domain.contract_shape import ContractError
from telefuser_grpc.errors import Violation

SIDES = ("width", "height")
MULTIPLE = 16  # of the sides that a remedy names: most models take them


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLimits:
    """How large a media input may be; None bounds nothing.

    Attributes:
        max_aspect_ratio: Of the longer side to the shorter.
        max_pixels: Width times height, of a picture or of each frame.
        max_frames: Of a clip.
        max_seconds: Of a clip or a sound.
    """

    max_aspect_ratio: float | None = None
    max_pixels: int | None = None
    max_frames: int | None = None
    max_seconds: float | None = None

    @classmethod
    def parse(cls, path: str, declared: Any) -> "InputLimits":
        """Reads the limits of one input; `path` leads there.

        Raises:
            ContractError: A limit is unknown, or no number above 0.
        """
        if not isinstance(declared, Mapping):
            raise ContractError(f"{path}: must be an object, not {declared!r}")
        names = [each.name for each in fields(cls)]
        for name, limit in declared.items():
            if name not in names:
                raise ContractError(f"{path}.{name}: unknown; there are {', '.join(names)}")
            check_limit(f"{path}.{name}", limit)
        return cls(**declared)

    def fault(self, facts: MediaFacts) -> str:
        """Says what is too large, and what to do about it; "" where nothing is."""
        return next(self._faults(facts), "")

    def _faults(self, facts: MediaFacts) -> Iterator[str]:
        size = f"{facts.width}x{facts.height}"
        longer, shorter = max(facts.width, facts.height), min(facts.width, facts.height)
        if self.max_aspect_ratio and longer > self.max_aspect_ratio * shorter:
            most = f"{self.max_aspect_ratio:g} times as long as wide"
            yield f"is {size}, at most {most} allowed; cut it"
        if self.max_pixels and longer * shorter > self.max_pixels:
            allowed = largest_like(facts.width, facts.height, self.max_pixels)
            yield f"is {size}; scale it down, as to {allowed}"
        if self.max_frames and facts.frame_count > self.max_frames:
            yield f"has {facts.frame_count} frames, at most {self.max_frames} allowed; cut it"
        if self.max_seconds and facts.duration_seconds > self.max_seconds:
            length = f"{_tenths_up(facts.duration_seconds)} seconds"
            yield f"lasts {length}, at most {self.max_seconds:g} allowed; cut it"


def check_limit(path: str, limit: Any) -> None:
    """Refuses a limit that is no number above 0. Raises ContractError."""
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0:
        raise ContractError(f"{path}: must be a number above 0, not {limit!r}")


def size_violations(task: Mapping[str, Any], max_pixels: int) -> Iterator[Violation]:
    """Yields what is wrong with a width and a height, which come together or not at all."""
    given = {name: task[name] for name in SIDES if isinstance(task.get(name), int | float)}
    if len(given) == 1:
        missing = next(name for name in SIDES if name not in given)
        yield Violation(missing, f"must come with {next(iter(given))}, or neither", "missing")
    if len(given) == len(SIDES) and math.prod(given.values()) > max_pixels:
        allowed = largest_like(given["width"], given["height"], max_pixels)
        text = f"times height must be at most {max_pixels} pixels, as in {allowed}"
        yield Violation("width", text, "less_than_equal")


def largest_like(width: int, height: int, max_pixels: int) -> str:
    """Returns about the largest size of the same shape, as "WIDTHxHEIGHT"."""
    scale = math.sqrt(max_pixels / (width * height))
    longest = max_pixels / MULTIPLE  # beside a side that is no longer than that
    sides = (max(MULTIPLE, _down(min(side * scale, longest))) for side in (width, height))
    return "x".join(map(str, sides))


def _down(length: float) -> int:
    return int(length) // MULTIPLE * MULTIPLE


def _tenths_up(seconds: float) -> float:
    """Rounds up, so that what is too long does not read like what is allowed."""
    return math.ceil(round(seconds * 10, 6)) / 10
