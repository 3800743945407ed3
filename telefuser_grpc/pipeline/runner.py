"""Runs one job on a loaded pipeline, on the calling thread."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from telefuser_grpc.domain.job import Job
from telefuser_grpc.errors import TaskCancelled
from telefuser_grpc.pipeline.context import JobContext, RunContext
from telefuser_grpc.pipeline.diffusers_hooks import hooked
from telefuser_grpc.pipeline.entry import task_fields
from telefuser_grpc.pipeline.failure import failure_of
from telefuser_grpc.pipeline.loader import LoadedPipeline
from telefuser_grpc.pipeline.rendering import Rendering
from telefuser_grpc.pipeline.results import Measured, check_origin, read_result

OUTPUT_FOLDER_VARIABLE = "TELEAI_EXAMPLE_OUTPUT_DIR"


def render(loaded: LoadedPipeline, job: Job, context: RunContext) -> Rendering:
    """Runs a job and returns what it made, ready for `encode`.

    The pipeline can be used again afterwards, whatever happened.

    Raises:
        TaskCancelled, OutOfMemory, PipelineFailed, OutputInvalid
    """
    try:
        return _render(loaded, job, JobContext(context))
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        failure = TaskCancelled() if context.cancelled.is_set() else failure_of(error)
        raise failure from (None if failure is error else error)


def _render(loaded: LoadedPipeline, job: Job, context: JobContext) -> Rendering:
    context.raise_if_cancelled()
    _reset_peak_memory()
    since, started = time.time(), time.perf_counter()
    with hooked(loaded.pipeline, context), _output_folder(job.output_folder):
        result = loaded.wait(loaded.entry.call(loaded.pipeline, task_fields(job), context))
    context.raise_if_cancelled()
    measured = Measured(seconds=time.perf_counter() - started, peak_memory_mib=_peak_memory_mib())
    fps = _usual_fps(loaded.entry.ppl_config)
    rendering = read_result(result, job, measured=measured, fps=fps)
    check_origin(rendering, job, since=since)
    return rendering


@contextmanager
def _output_folder(folder: str) -> Iterator[None]:
    before = os.environ.get(OUTPUT_FOLDER_VARIABLE)
    os.environ[OUTPUT_FOLDER_VARIABLE] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ[OUTPUT_FOLDER_VARIABLE]
        else:
            os.environ[OUTPUT_FOLDER_VARIABLE] = before


def _usual_fps(ppl_config: Any) -> float | None:
    return ppl_config.get("target_fps") if isinstance(ppl_config, dict) else None


def _reset_peak_memory() -> None:
    if (cuda := _cuda()) is not None:
        cuda.reset_peak_memory_stats()


def _peak_memory_mib() -> float | None:
    return None if (cuda := _cuda()) is None else cuda.max_memory_allocated() / 2**20


def _cuda() -> Any:
    """Returns `torch.cuda` if the pipeline has loaded torch and there is a device."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None
