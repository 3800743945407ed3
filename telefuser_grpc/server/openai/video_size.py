"""Sizes of videos: as callers write them, and as pipelines read them."""

import re
from dataclasses import dataclass
from typing import Any, Self

PIXELS = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
LONGEST_SIDE = 8192
NAMED = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080), "2160p": (3840, 2160)}
OTHER_NAMES = {"4k": "2160p"}
KNOWN = {  # by the longer and the shorter side
    (1024, 1024): "720p",
    (1024, 576): "720p",
    (768, 768): "720p",
    (512, 512): "480p",
    (256, 256): "480p",
}
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
FIELDS = frozenset({"resolution", "aspect_ratio", "width", "height"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSize:
    """A size in pixels, the words it was asked for in, and the resolution that it counts as."""

    asked: str
    width: int
    height: int
    resolution: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `<width>x<height>` or the name of a resolution. Raises ValueError."""
        asked = text.strip()
        plain = asked.lower()
        name = OTHER_NAMES.get(plain, plain)
        if name in NAMED:
            width, height = NAMED[name]
            return cls(asked=asked, width=width, height=height, resolution=name)
        match = PIXELS.fullmatch(plain)
        sides = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 0 < min(sides) <= max(sides) <= LONGEST_SIDE:
            names = ", ".join((*NAMED, *OTHER_NAMES))
            raise ValueError(
                f"must be <width>x<height>, such as 1280x720, each from 1 to {LONGEST_SIDE}, "
                f"or one of {names}"
            )
        return cls(asked=asked, width=sides[0], height=sides[1], resolution=_resolution(*sides))

    @property
    def aspect_ratio(self) -> str:
        """The nearest of the ratios that pipelines know."""
        ratio = self.width / self.height
        distances = {name: max(ratio / each, each / ratio) for name, each in ASPECT_RATIOS.items()}
        return min(distances, key=distances.__getitem__)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a task that ask for this size."""
        return {
            "resolution": self.resolution,
            "aspect_ratio": self.aspect_ratio,
            "width": self.width,
            "height": self.height,
            "openai_video_size": self.asked,
        }


def _resolution(width: int, height: int) -> str:
    shorter, longer = sorted((width, height))
    if name := KNOWN.get((longer, shorter)):
        return name
    return next(name for least, name in SHORTER_SIDES if shorter >= least)
