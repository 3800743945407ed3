"""Makes what pipelines report into numbers that everybody behind them can count with."""

import math
from dataclasses import replace

from telefuser_grpc.domain.task import Progress

MAX_STEPS = 2**31 - 1
MAX_STAGE_LENGTH = 100
MAX_PREVIEW_BYTES = 2**20


def plausible(progress: Progress) -> Progress:
    """Returns the progress with whole steps, from 0 to what was promised.

    Raises:
        TypeError, ValueError: It holds no numbers at all.
    """
    steps = _count(progress.steps)
    step = _count(progress.step)
    return replace(
        progress,
        step=min(step, steps) if steps else step,
        steps=steps,
        stage=str(progress.stage)[:MAX_STAGE_LENGTH],
        remaining_seconds=_seconds(progress.remaining_seconds),
    )


def _count(value: float) -> int:
    """Returns a number of any library as an integer."""
    return max(0, min(int(value), MAX_STEPS))


def _seconds(value: float | None) -> float | None:
    if value is None:
        return None
    seconds = float(value)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
