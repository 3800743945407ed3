"""Packed latents are shown as the picture that they are rows of."""

import io
import threading

import pytest
from PIL import Image

from telefuser_grpc.domain.task import Preview, Progress
from telefuser_grpc.pipeline.context import JobContext, RunContext
from telefuser_grpc.pipeline.previews import token_previews

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(("columns", "rows"), [(4, 4), (6, 3), (3, 6), (5, 2)])
def test_tokens_are_laid_out_in_the_shape_of_the_picture(columns: int, rows: int) -> None:
    told: list[Progress | Preview] = []
    context = JobContext(RunContext(told.append, threading.Event(), 0))
    brighter = torch.arange(columns).repeat(rows)  # from left to right, row by row
    latents = brighter.float()[None, :, None].repeat(1, 1, 16)

    on_step_end = token_previews(context, aspect=columns / rows)
    changed = on_step_end(object(), 0, 1000, {"latents": latents})

    (preview,) = told
    assert isinstance(preview, Preview)
    image = Image.open(io.BytesIO(preview.image)).convert("L")
    assert image.width / image.height == pytest.approx(columns / rows, rel=0.02)
    assert image.resize((2, 2)).tobytes()[0::2] < image.resize((2, 2)).tobytes()[1::2]
    assert changed["latents"] is latents


def test_preview_that_is_not_due_is_not_made() -> None:
    told: list[Progress | Preview] = []
    context = JobContext(RunContext(told.append, threading.Event(), 3600))
    on_step_end = token_previews(context, aspect=1)

    for step in range(3):
        on_step_end(object(), step, 1000, {"latents": torch.rand(1, 16, 16)})

    assert len(told) <= 1


def test_each_task_is_shown_its_own_row_and_a_cancelled_one_nothing() -> None:
    told: list[list[Progress | Preview]] = [[], [], []]
    cancels = [threading.Event() for _ in told]
    runs = [RunContext(each.append, cancel, 0) for each, cancel in zip(told, cancels, strict=True)]
    on_step_end = token_previews(*map(JobContext, runs), aspect=1)
    slope = torch.arange(16).float()[None, :, None].repeat(1, 1, 16)
    cancels[1].set()

    on_step_end(object(), 0, 1000, {"latents": torch.cat([slope, slope, -slope])})

    assert [len(each) for each in told] == [1, 0, 1]
    first, last = (_shown(each[0]) for each in (told[0], told[2]))
    assert first.getpixel((0, 0)) < 40 < 215 < first.getpixel((255, 255))
    assert last.getpixel((0, 0)) > 215 > 40 > last.getpixel((255, 255))


def _shown(update: Progress | Preview) -> Image.Image:
    assert isinstance(update, Preview)
    return Image.open(io.BytesIO(update.image)).convert("L")
