"""Lets several diffusers pipelines run on one set of weights."""

from typing import Any, TypeVar

from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.step_cache import check_step_cache
from telefuser_grpc.pipeline.tuning import device

P = TypeVar("P")


def sibling(pipeline_class: type[P], pipe: Any, options: ModelOptions, **settings: Any) -> P:
    """Returns another pipeline on the parts of a loaded one; nothing is loaded or converted.

    Args:
        settings: Parts and settings that take the place of those of the loaded pipeline.

    Raises:
        ModelUnusable: It cannot run denoisers that have the step cache of the loaded one.
    """
    other: Any = pipeline_class(**{**pipe.components, **settings})
    if options.step_cache != "none":
        check_step_cache(other, options.step_cache)
    if options.offload == "model" and device() != "cpu":
        other.enable_model_cpu_offload()
    found: P = other
    return found
