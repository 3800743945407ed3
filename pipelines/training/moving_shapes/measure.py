"""What a clip shows, measured from its pixels alone: background, colour, shape and motion."""

import numpy as np
import torch
from training.moving_shapes.data import BACKGROUNDS, COLOURS, SHAPES, SIZE, signed_distance

STILL_PIXELS = 8
"""A clip whose shape travels less than this from the first to the last frame counts as still."""


def measure(clip: np.ndarray) -> dict[str, str]:
    """The words that describe `clip`, (frames, height, width, 3) of uint8."""
    pixels = clip.astype(np.float64)
    background = _border_colour(pixels)
    masks = _masks(pixels, background)
    if not masks.any(axis=(1, 2)).all():
        return {"background": _nearest(background), "colour": "", "shape": "", "motion": ""}
    return {
        "background": _nearest(background),
        "colour": _nearest(np.median(pixels[masks], axis=0)),
        "shape": max(SHAPES, key=lambda shape: overlap(masks, shape)),
        "motion": _motion(masks),
    }


def overlap(masks: np.ndarray, shape: str) -> float:
    """Intersection over union with `shape` drawn in each mask's bounding box, mean over frames."""
    return float(np.mean([_overlap_of_frame(mask, shape) for mask in masks]))


def masks_of(clip: np.ndarray) -> np.ndarray:
    """Where the shape is, (frames, height, width) of bool."""
    pixels = clip.astype(np.float64)
    return _masks(pixels, _border_colour(pixels))


def _border_colour(pixels: np.ndarray) -> np.ndarray:
    edges = (pixels[:, :2], pixels[:, -2:], pixels[:, :, :2], pixels[:, :, -2:])
    return np.median(np.concatenate([edge.reshape(-1, 3) for edge in edges]), axis=0)


def _masks(pixels: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Pixels more than half-way from the background to the colour that differs most from it."""
    distance = np.linalg.norm(pixels - background, axis=-1)
    return distance > 0.5 * max(np.quantile(distance, 0.985), 20)


def _nearest(rgb: np.ndarray) -> str:
    colours = COLOURS | BACKGROUNDS
    return min(colours, key=lambda name: np.linalg.norm(rgb - colours[name]))


def _motion(masks: np.ndarray) -> str:
    travel = centroid(masks[-1]) - centroid(masks[0])
    if np.abs(travel).max() < STILL_PIXELS:
        return "still"
    if abs(travel[0]) > abs(travel[1]):
        return "right" if travel[0] > 0 else "left"
    return "down" if travel[1] > 0 else "up"


def centroid(mask: np.ndarray) -> np.ndarray:
    """The middle of a mask as (x, y)."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def _overlap_of_frame(mask: np.ndarray, shape: str) -> float:
    """The bounding box fixes where a shape would be and how large."""
    if not mask.any():
        return 0.0
    rows, columns = np.nonzero(mask)
    template = _fitted(shape, rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
    return (mask & template).sum() / (mask | template).sum()


def _fitted(shape: str, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """`shape` scaled to a box, as a mask of the whole frame."""
    half_width, above, below = _extent(shape)
    radius = (bottom - top) / (above + below)
    stretch = (right - left) / (2 * half_width * radius)
    axis = torch.arange(SIZE) + 0.5
    dx = ((axis - (left + right) / 2) / stretch)[None, None, None, :]
    dy = (axis - top - above * radius)[None, None, :, None]
    distance = signed_distance([shape], dx, dy, torch.full((1, 1, 1, 1), radius))
    return (distance[0, 0] > 0).numpy()


def _extent(shape: str) -> tuple[float, float, float]:
    """Half the width, and how far it reaches above and below its centre, for a radius of one."""
    return {"circle": (1, 1, 1), "square": (0.88, 0.88, 0.88), "triangle": (1.092, 1.1, 0.8)}[shape]
