"""Loads a diffusers model as its operator wants it: found, checked, placed and tuned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import structlog

from telefuser_grpc.errors import OutOfMemory
from telefuser_grpc.pipeline.checkpoint import (
    ModelUnusable,
    check_checkpoint,
    find_checkpoint,
    title,
    too_new,
)
from telefuser_grpc.pipeline.completeness import all_weights_needed
from telefuser_grpc.pipeline.context_parallel import check_context, splits
from telefuser_grpc.pipeline.failure import failure_of, public_message
from telefuser_grpc.pipeline.loras import add_loras
from telefuser_grpc.pipeline.memory import check_memory, out_of_memory
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.tuning import denoisers, device, place, quantization_config, tune

logger = structlog.get_logger()

P = TypeVar("P")


def load_model(
    pipeline_class: type[P],
    default: str,
    options: ModelOptions,
    *,
    parallelism: int = 1,
    float32: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    **parts: Any,
) -> P:
    """Returns a diffusers pipeline, ready to run.

    Args:
        pipeline_class: The diffusers class.
        default: The hub id of the model that the file is for.
        parallelism: Over how many devices the model is spread, by whole parts ("balanced"), or how
            many ranks of the replica share each step, of which this process is one.
        float32: Parts that keep full precision, such as a VAE that overflows in half.
        also: Other pipeline classes whose directories have the same parts.
        parts: Ready parts that take the place of those in the directory.

    Raises:
        ModelUnusable: There is no such model, it is not whole, of another family, or does not fit.
    """
    folder = find_checkpoint(default, options)
    names = (pipeline_class.__name__, *also)
    check_checkpoint(folder, default=default, class_names=names)
    dtypes = _dtypes(options, float32)
    widths = {name: dtype.itemsize for name, dtype in dtypes.items()}
    check_memory(folder, options, parallelism=parallelism, widths=widths)
    settings = {"dtype": dtypes, **_spread(options, parallelism), **_quantised(options), **parts}
    try:
        with all_weights_needed(folder, default=default):
            pipe: P = _read(pipeline_class, folder, settings)
        add_loras(pipe, options.loras)
        tune(pipe, options, parallelism=parallelism)
        if "device_map" not in settings:
            place(pipe, options)
    except (RuntimeError, MemoryError) as error:
        if isinstance(failure_of(error), OutOfMemory):
            raise out_of_memory(options, parallelism=parallelism) from error
        raise
    logger.info("model loaded", model=title(folder), denoisers=denoisers(pipe), device=device())
    return pipe


def _dtypes(options: ModelOptions, float32: tuple[str, ...]) -> dict[str, Any]:
    import torch  # a replica's; the server process reads this module's neighbours only

    usual = "bfloat16" if device() == "cuda" else "float32"
    dtype = getattr(torch, usual if options.dtype == "auto" else options.dtype)
    return {"default": dtype} | dict.fromkeys(float32, torch.float32)


def _spread(options: ModelOptions, parallelism: int) -> dict[str, Any]:
    if splits(options, parallelism):
        check_context(options)
        return {}
    if parallelism == 1 or device() == "cpu":
        return {}
    if options.offload != "none":
        raise ModelUnusable(
            f"TELEFUSER_OFFLOAD={options.offload} needs replicas of one device each; set it to "
            "none, or make -g equal to -n"
        )
    return {"device_map": "balanced"}


def _quantised(options: ModelOptions) -> dict[str, Any]:
    config = quantization_config(options)
    return {} if config is None else {"quantization_config": config}


def _read(pipeline_class: Any, folder: Path, settings: Mapping[str, Any]) -> Any:
    _hide_progress_bars()
    try:
        return pipeline_class.from_pretrained(folder, local_files_only=True, **settings)
    except ModelUnusable:
        raise
    except ImportError as error:  # the classes of some parts need more than the two libraries
        raise ModelUnusable(
            f"The model in {title(folder)!r} needs what is not installed: {public_message(error)}"
        ) from error
    except Exception as error:  # a model is anybody's files, and its readers raise anything
        if isinstance(failure_of(error), OutOfMemory):
            raise
        raise too_new(folder, public_message(error)) from error


def _hide_progress_bars() -> None:
    """Keeps a server's log to lines."""
    from diffusers.utils.logging import disable_progress_bar as hide_those_of_diffusers
    from transformers.utils.logging import disable_progress_bar as hide_those_of_transformers

    hide_those_of_diffusers()
    hide_those_of_transformers()
