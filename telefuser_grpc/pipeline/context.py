"""What a running pipeline is handed: a way to tell of its progress and to hear of a cancel."""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from telefuser_grpc.domain.task import Preview, Progress
from telefuser_grpc.errors import TaskCancelled
from telefuser_grpc.pipeline.failure import public_message
from telefuser_grpc.pipeline.latents import picture_of, steps_of

PREVIEW_SIZE = (256, 256)
PREVIEW_QUALITY = 75

logger = structlog.get_logger()


class Signal(Protocol):
    """Something that may have happened, like a `threading.Event`."""

    def is_set(self) -> bool:
        """Tells whether it has."""
        ...


@dataclass(frozen=True, slots=True)
class RunContext:
    """The replica's side of one run.

    Attributes:
        report: Takes progress and previews as they come; called on the pipeline's thread.
        cancelled: Is set when the run is to stop at its next step.
        preview_interval_seconds: The least time between two previews; 0 lets all pass.
    """

    report: Callable[[Progress | Preview], None]
    cancelled: Signal
    preview_interval_seconds: float = 1.0


class JobContext:
    """The pipeline's side of one run: the third argument of `run(pipeline, request, context)`.

    Diffusers pipelines are watched from outside, so a file need not call anything here. Once it
    reports progress or previews by itself, the automatic ones stay silent.

    Args:
        stops: When the run is to stop, where others are made with it: not at its own cancel.
    """

    def __init__(self, run: RunContext, *, stops: Signal | None = None) -> None:
        self._run = run
        self._stops = stops or run.cancelled
        self._pace = Pace()
        self._step = 0
        self._next_preview = 0.0
        self._file_reports = False
        self._file_previews = False
        self._previews_work = True
        self._is_watched = False

    @property
    def cancelled(self) -> bool:
        """Tells whether the result is no longer wanted."""
        return self._run.cancelled.is_set()

    def raise_if_cancelled(self) -> None:
        """Raises TaskCancelled when the run is to stop; let it pass through."""
        if self._stops.is_set():
            raise TaskCancelled

    def progress(self, step: int, steps: int, stage: str = "denoising") -> None:
        """Tells that `step` of `steps` is done. Raises TaskCancelled when the run is to stop."""
        self._file_reports = True
        self._report(step, steps, stage)
        self.raise_if_cancelled()

    @property
    def preview_due(self) -> bool:
        """Tells whether a preview would be sent now; one that is not due need not be made."""
        return time.monotonic() >= self._next_preview

    def preview(self, image: Any) -> None:
        """Sends a PIL image, or what a callable without arguments returns, if one is due."""
        self._file_previews = True
        if self.preview_due:
            self._send_preview(image() if callable(image) else image)

    def on_step_end(
        self, pipe: Any, index: int, timestep: Any, callback_kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Tells of a step; give it to a diffusers pipeline as `callback_on_step_end`."""
        if not self._is_watched:
            self.step_done(pipe, index + 1, steps_of(pipe), callback_kwargs)
        return callback_kwargs

    def step_done(self, pipe: Any, step: int, steps: int, tensors: Mapping[str, Any]) -> None:
        """Tells of a step seen from outside, with a picture of its latents if one is due.

        Raises:
            TaskCancelled: The run is to stop.
        """
        self.raise_if_cancelled()
        if not self._file_reports:
            self._report(min(step, steps) if steps else step, steps, "denoising")
        if self._previews_work and not self._file_previews and self.preview_due:
            self._preview_latents(pipe, tensors)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keeps `on_step_end` silent meanwhile: the step is told of from outside."""
        self._is_watched = True
        try:
            yield
        finally:
            self._is_watched = False

    def _report(self, step: int, steps: int, stage: str) -> None:
        self._step = step
        remaining = self._pace.remaining_seconds(step, steps, stage)
        self._run.report(Progress(step=step, steps=steps, stage=stage, remaining_seconds=remaining))

    def _preview_latents(self, pipe: Any, tensors: Mapping[str, Any]) -> None:
        try:
            image = picture_of(pipe, tensors)
        except Exception as error:  # foreign latents: a preview is not worth a task
            self._previews_work = False
            logger.warning("preview not possible", error=public_message(error))
            return
        if image is not None:
            self._send_preview(image)

    def _send_preview(self, image: Any) -> None:
        small = image.convert("RGB")
        small.thumbnail(PREVIEW_SIZE)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=PREVIEW_QUALITY)
        self._next_preview = time.monotonic() + self._run.preview_interval_seconds
        self._run.report(Preview(step=self._step, image=buffer.getvalue()))


class Pace:
    """Estimates the rest of a stage from the steps of it that were seen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ("", 0)
        self._last = 0
        self._first = (0, 0.0)

    def remaining_seconds(self, step: int, steps: int, stage: str) -> float | None:
        """Returns the seconds that are left after `step`, or None where nothing can be said."""
        now = self._clock()
        if (stage, steps) != self._stage or step < self._last:
            self._stage = (stage, steps)
            self._first = (step, now)
        self._last = step
        first_step, first_time = self._first
        if not steps or step == first_step:
            return None
        return max(0.0, (now - first_time) / (step - first_step) * (steps - step))
