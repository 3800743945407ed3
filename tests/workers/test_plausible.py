"""Whatever a pipeline reports becomes numbers to count with."""

from typing import Any

import pytest

from telefuser_grpc.domain.task import Progress
from telefuser_grpc.workers.plausible import MAX_STEPS, plausible


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        ((1, 4), (1, 4)),
        ((9, 4), (4, 4)),
        ((-3, 4), (0, 4)),
        ((3, -1), (3, 0)),
        ((7, 0), (7, 0)),
        ((2.0, 4.9), (2, 4)),
        ((2**40, 2**50), (MAX_STEPS, MAX_STEPS)),
    ],
)
def test_steps_are_whole_and_never_more_than_promised(
    told: tuple[Any, Any], taken: tuple[int, int]
) -> None:
    progress = plausible(Progress(step=told[0], steps=told[1]))

    assert (progress.step, progress.steps) == taken
    assert type(progress.step) is type(progress.steps) is int


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_a_rest_that_no_clock_can_show_is_left_out(seconds: float) -> None:
    progress = plausible(Progress(step=1, steps=2, remaining_seconds=seconds))

    assert progress.remaining_seconds is None


def test_a_stage_is_short() -> None:
    assert len(plausible(Progress(step=1, steps=2, stage="x" * 10_000)).stage) == 100


@pytest.mark.parametrize("step", ["three", None, float("nan"), [1]])
def test_what_is_no_number_is_the_pipelines_own_fault(step: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        plausible(Progress(step=step, steps=4))
