"""A running pipeline tells of its progress and previews, and hears of a cancel."""

import io

import pytest
from PIL import Image

from telefuser_grpc.errors import TaskCancelled
from telefuser_grpc.pipeline.context import JobContext, Pace
from tests.fakes.pipelines import Watcher


def test_progress_is_reported_as_told() -> None:
    watcher = Watcher()

    JobContext(watcher.context).progress(3, 10, stage="upscaling")

    assert watcher.steps == [(3, 10)]
    assert watcher.progress[0].stage == "upscaling"


def test_progress_of_a_cancelled_run_raises() -> None:
    watcher = Watcher()
    context = JobContext(watcher.context)
    context.raise_if_cancelled()
    watcher.cancelled.set()

    with pytest.raises(TaskCancelled):
        context.progress(1, 4)

    assert context.cancelled
    with pytest.raises(TaskCancelled):
        context.raise_if_cancelled()


def test_a_preview_is_a_small_jpeg_of_the_last_step() -> None:
    watcher = Watcher()
    context = JobContext(watcher.context)
    context.progress(2, 4)

    context.preview(Image.new("RGBA", (1024, 512)))

    image = Image.open(io.BytesIO(watcher.previews[0].image))
    assert watcher.previews[0].step == 2
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (256, 128))


def test_a_preview_that_is_not_due_is_not_even_made() -> None:
    watcher = Watcher(preview_interval_seconds=3600)
    context = JobContext(watcher.context)
    made = []

    def make() -> Image.Image:
        made.append(1)
        return Image.new("RGB", (8, 8))

    due_before = context.preview_due
    context.preview(make)
    context.preview(make)

    assert (due_before, context.preview_due) == (True, False)
    assert (len(made), len(watcher.previews)) == (1, 1)


def test_an_interval_of_zero_lets_every_preview_pass() -> None:
    watcher = Watcher(preview_interval_seconds=0)
    context = JobContext(watcher.context)

    context.preview(Image.new("RGB", (8, 8)))
    context.preview(Image.new("RGB", (8, 8)))

    assert len(watcher.previews) == 2


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rest_is_estimated_from_the_steps_seen() -> None:
    clock = Clock()
    pace = Pace(clock)

    first = pace.remaining_seconds(1, 5, "denoising")
    clock.now += 4
    third = pace.remaining_seconds(3, 5, "denoising")
    clock.now += 4
    last = pace.remaining_seconds(5, 5, "denoising")

    assert (first, third, last) == (None, 4.0, 0.0)


def test_another_stage_is_estimated_anew() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.remaining_seconds(1, 5, "denoising")
    clock.now += 100

    assert pace.remaining_seconds(2, 5, "upscaling") is None


def test_nothing_is_said_of_an_unknown_number_of_steps() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.remaining_seconds(1, 0, "denoising")
    clock.now += 1

    assert pace.remaining_seconds(2, 0, "denoising") is None
