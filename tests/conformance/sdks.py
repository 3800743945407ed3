"""The official SDKs that the service is held against.

To follow a new release, raise its version in NEWEST here; `make conformance` then makes its
environment. What was newest goes to OLDER only when it speaks another wire than its successor.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Sdk:
    """One release of the package `openai`, as it was published."""

    language: Literal["python", "node"]
    version: str

    @property
    def name(self) -> str:
        """Names its environment and its tests."""
        return f"{self.language}-{self.version}"

    @property
    def release(self) -> tuple[int, ...]:
        """Its version, to compare."""
        return tuple(int(part) for part in self.version.split("."))


NEWEST = (Sdk("python", "3.54.0"), Sdk("node", "7.57.0"))
OLDER = (
    Sdk("python", "1.109.1"),  # knows images and models only
    Sdk("python", "2.8.1"),  # sends JSON where a video has no file
    Sdk("python", "2.26.0"),  # the last that does
)
NODE_RUNTIME = "24.19.0"
"""What runs the SDK for Node, from PyPI: the SDK needs a newer one than Debian has."""
