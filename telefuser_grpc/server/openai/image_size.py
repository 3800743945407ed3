"""Sizes of images: as callers write them, and as pipelines read them."""

import re
from dataclasses import dataclass
from typing import Any, Self

from telefuser_grpc.domain.contract import TaskContract

AUTO = "auto"
PIXELS = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
LONGEST_SIDE = 8192
SHORTER_SIDES = ((2160, "2160p"), (1080, "1080p"), (720, "720p"), (0, "480p"))
ASPECT_RATIOS = {
    "16:9": 16 / 9,
    "9:16": 9 / 16,
    "4:3": 4 / 3,
    "3:4": 3 / 4,
    "1:1": 1.0,
    "2:3": 2 / 3,
    "3:2": 3 / 2,
}
FIELDS = ("resolution", "aspect_ratio", "width", "height")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSize:
    """A size in pixels."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `<width>x<height>`. Raises ValueError."""
        match = PIXELS.fullmatch(text.strip().lower())
        sides = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 0 < min(sides) <= max(sides) <= LONGEST_SIDE:
            raise ValueError(
                f"must be auto, or <width>x<height> such as 1024x1024, each from 1 to "
                f"{LONGEST_SIDE}"
            )
        return cls(width=sides[0], height=sides[1])

    @property
    def text(self) -> str:
        """The size as callers write it."""
        return f"{self.width}x{self.height}"

    @property
    def aspect_ratio(self) -> str:
        """The nearest of the ratios that pipelines know."""
        ratio = self.width / self.height
        distances = {name: max(ratio / each, each / ratio) for name, each in ASPECT_RATIOS.items()}
        return min(distances, key=distances.__getitem__)

    def fields(self, task: TaskContract) -> dict[str, Any]:
        """Returns the fields that ask a kind of task for this size."""
        return {
            "resolution": self._resolution(task),
            "aspect_ratio": self.aspect_ratio,
            "width": self.width,
            "height": self.height,
        }

    def _resolution(self, task: TaskContract) -> str:
        """The size itself, or its name where the pipeline knows resolutions by names alone."""
        declared = task.parameters.get("resolution")
        shorter = min(self.width, self.height)
        name = next(each for least, each in SHORTER_SIDES if shorter >= least)
        if declared and self.text not in declared.enum and name in declared.enum:
            return name
        return self.text
