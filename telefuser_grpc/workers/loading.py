"""Loads a pipeline as it was ordered, in any rank of a replica."""

import gc
from pathlib import Path

import structlog

from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.context_parallel import Meeting, check_split, meet
from telefuser_grpc.pipeline.diffusers_hooks import diffusers_pipelines
from telefuser_grpc.pipeline.loader import LoadedPipeline, PipelineLoadError, load
from telefuser_grpc.pipeline.warmup import warm_up
from telefuser_grpc.workers.messages import Load

logger = structlog.get_logger()


def load_as_ordered(order: Load, meeting: Meeting | None) -> LoadedPipeline:
    """Meets the other ranks, if there are any, then loads the pipeline and warms it up.

    Raises:
        PipelineLoadError
    """
    try:
        return _load(order, meeting)
    except PipelineLoadError as error:
        if error.__cause__ and not isinstance(error, ModelUnusable):  # that one says all there is
            logger.error("pipeline file raised", exc_info=error.__cause__)
        raise


def _load(order: Load, meeting: Meeting | None) -> LoadedPipeline:
    if meeting is not None:
        meet(meeting)
    loaded = load(
        Path(order.pipeline),
        task=order.task,
        parallelism=order.parallelism,
        options=order.options,
    )
    if meeting is not None:
        check_split(diffusers_pipelines(loaded.pipeline))
    if order.warmup:
        warm_up(loaded)
    return loaded


def settle() -> None:
    """Lets the garbage collector know that a loaded pipeline is for ever: it need not be walked."""
    gc.collect()
    gc.freeze()
