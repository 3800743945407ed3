"""Runs one job, or several together, on a loaded pipeline and on the calling thread."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from telefuser_grpc.domain.job import Job
from telefuser_grpc.errors import OutputInvalid, TaskCancelled, TaskFailed
from telefuser_grpc.pipeline.batch_context import BatchContext
from telefuser_grpc.pipeline.context import JobContext, RunContext
from telefuser_grpc.pipeline.diffusers_hooks import hooked
from telefuser_grpc.pipeline.entry import task_fields
from telefuser_grpc.pipeline.failure import failure_of
from telefuser_grpc.pipeline.loader import LoadedPipeline
from telefuser_grpc.pipeline.rendering import Rendering
from telefuser_grpc.pipeline.results import Measured, check_origin, read_result
from telefuser_grpc.pipeline.seeds import seed_libraries

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


def render_batch(
    loaded: LoadedPipeline, jobs: Sequence[Job], contexts: Sequence[RunContext]
) -> list[Rendering | TaskFailed]:
    """Runs jobs together and returns in their order what each made, or why it made nothing.

    Raises:
        TaskCancelled: All were cancelled.
        OutOfMemory, PipelineFailed, OutputInvalid: They cannot be made together.
    """
    context = BatchContext(contexts)
    try:
        return _render_batch(loaded, jobs, context)
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        failure = TaskCancelled() if context.stops.is_set() else failure_of(error)
        raise failure from (None if failure is error else error)


def accompany(loaded: LoadedPipeline, jobs: Sequence[Job], contexts: Sequence[RunContext]) -> None:
    """Does the work of `render`, or of `render_batch` for several jobs, and lets go what it makes.

    Raises:
        TaskCancelled, OutOfMemory, PipelineFailed
    """
    try:
        if len(jobs) == 1:
            _run(loaded, jobs[0], JobContext(contexts[0]))
        else:
            _run_together(loaded, jobs, BatchContext(contexts))
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        raise failure_of(error) from (None if isinstance(error, TaskFailed) else error)


def _render(loaded: LoadedPipeline, job: Job, context: JobContext) -> Rendering:
    stopwatch = Stopwatch()
    result = _run(loaded, job, context)
    return _read(loaded, result, job, stopwatch.read())


def _run(loaded: LoadedPipeline, job: Job, context: JobContext) -> Any:
    context.raise_if_cancelled()
    seed_libraries(job)
    with hooked(loaded.pipeline, context), _output_folder(job.output_folder):
        result = loaded.wait(loaded.entry.call(loaded.pipeline, task_fields(job), context))
    context.raise_if_cancelled()
    return result


def _render_batch(
    loaded: LoadedPipeline, jobs: Sequence[Job], context: BatchContext
) -> list[Rendering | TaskFailed]:
    stopwatch = Stopwatch()
    results = _one_each(_run_together(loaded, jobs, context), len(jobs))
    measured = stopwatch.read(batch_size=len(jobs))
    return [
        _read_or_why_not(loaded, result, job, measured)
        for result, job in zip(results, jobs, strict=True)
    ]


def _run_together(loaded: LoadedPipeline, jobs: Sequence[Job], context: BatchContext) -> Any:
    assert loaded.entry.together is not None, "the loader refuses such a contract"
    context.raise_if_cancelled()
    requests = [task_fields(job) for job in jobs]
    seed_libraries(jobs[0])
    with hooked(loaded.pipeline, context):
        told = loaded.wait(loaded.entry.together(loaded.pipeline, requests, context.members))
    context.raise_if_cancelled()
    return told


def _one_each(told: Any, count: int) -> list[Any]:
    if isinstance(told, str | Mapping) or not hasattr(told, "__len__"):
        raise OutputInvalid(f"run_batch returned a {type(told).__name__}; return a list of results")
    if len(told) != count:
        raise OutputInvalid(f"run_batch returned {len(told)} results for {count} requests")
    return list(told)


def _read_or_why_not(
    loaded: LoadedPipeline, result: Any, job: Job, measured: Measured
) -> Rendering | TaskFailed:
    try:
        return _read(loaded, result, job, measured)
    except Exception as error:
        return failure_of(error)


def _read(loaded: LoadedPipeline, result: Any, job: Job, measured: Measured) -> Rendering:
    fps = _usual_fps(loaded.entry.ppl_config)
    rendering = read_result(result, job, measured=measured, fps=fps)
    check_origin(rendering, job, since=measured.since)
    return rendering


class Stopwatch:
    """Measures a run from the moment when it is made."""

    def __init__(self) -> None:
        _reset_peak_memory()
        self._since, self._started = time.time(), time.perf_counter()

    def read(self, *, batch_size: int = 1) -> Measured:
        """Returns what was measured so far of so many jobs."""
        return Measured(
            seconds=time.perf_counter() - self._started,
            peak_memory_mib=_peak_memory_mib(),
            since=self._since,
            batch_size=batch_size,
        )


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
