"""Draws into pictures which keys they obey: moves at the left, turns at the right."""

from collections.abc import Iterable, Sequence
from typing import Any

MOVE = {"w": (1, 0), "a": (0, 1), "d": (2, 1), "s": (1, 2)}
ROTATE = {"i": (1, 0), "j": (0, 1), "l": (2, 1), "k": (1, 2)}
"""Where a key lies in a panel of three by three, across and down."""
SMALLEST_CELL = 8
SMALLEST_LABELLED = 20
PANEL = (12, 16, 24, 150)
IDLE = (110, 120, 140, 170)
BRIGHT = {"MOVE": (60, 130, 246, 235), "ROTATE": (245, 158, 11, 235)}
INK = (255, 255, 255, 235)


def draw_controls(frames: Sequence[Any], keys: Iterable[str]) -> list[Any]:
    """Returns PIL images with a panel of keys in each lower corner, those that are obeyed lit."""
    if not frames:
        return []
    overlay = _overlay(frames[0].size, frozenset(keys))
    return [_under(frame, overlay) for frame in frames]


def _under(frame: Any, overlay: Any) -> Any:
    shown = frame.convert("RGB")
    shown.paste(overlay, mask=overlay)
    return shown


def _overlay(size: tuple[int, int], keys: frozenset[str]) -> Any:
    from PIL import Image, ImageDraw

    width, height = size
    cell = max(SMALLEST_CELL, min(size) // 14)
    margin = cell // 3
    overlay = Image.new("RGBA", size)
    draw = ImageDraw.Draw(overlay)
    top = height - margin - 3 * cell
    _panel(draw, "MOVE", MOVE, keys, left=margin, top=top, cell=cell)
    _panel(draw, "ROTATE", ROTATE, keys, left=width - margin - 3 * cell, top=top, cell=cell)
    return overlay


def _panel(
    draw: Any,
    title: str,
    places: dict[str, tuple[int, int]],
    keys: frozenset[str],
    *,
    left: int,
    top: int,
    cell: int,
) -> None:
    from PIL import ImageFont

    gap = max(1, cell // 12)
    draw.rounded_rectangle((left, top, left + 3 * cell, top + 3 * cell), cell // 3, fill=PANEL)
    font = ImageFont.load_default(cell * 0.55)
    for key, (across, down) in places.items():
        x, y = left + across * cell, top + down * cell
        box = (x + gap, y + gap, x + cell - gap, y + cell - gap)
        draw.rounded_rectangle(box, cell // 5, fill=BRIGHT[title] if key in keys else IDLE)
        if cell >= SMALLEST_LABELLED:
            draw.text((x + cell / 2, y + cell / 2), key.upper(), INK, font, anchor="mm")
    if cell >= SMALLEST_LABELLED:
        draw.text((left + 1.5 * cell, top - gap), title, INK, font, anchor="md")
