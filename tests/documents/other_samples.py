"""The samples of the documents of the two other APIs, by name."""

import json
from typing import Any

from tests.documents.samples import HERE, SAMPLE

WAN_GUIDE, IMAGE_TO_VIDEO_GUIDE = (
    dict(SAMPLE.findall((HERE / name).read_text()))
    for name in ("wan_guide.md", "image_to_video_guide.md")
)
PIPELINE = HERE.parent / "end_to_end/picture_pipeline.py"


def other(name: str) -> str:
    """Returns a sample as it is written."""
    return str((WAN_GUIDE | IMAGE_TO_VIDEO_GUIDE)[name])


def other_json(name: str) -> Any:
    """Returns what a JSON sample says."""
    return json.loads(other(name))


def rows(name: str) -> list[list[str]]:
    """Returns the cells of a table."""
    return [[cell.strip() for cell in line.split("|")] for line in other(name).splitlines()]


def bounds(text: str) -> tuple[float, float]:
    """Reads a range such as `24-120`."""
    low, high = text.removesuffix("字符").split("-")
    return float(low), float(high)
