"""Loads a diffusers model as its operator wants it: found, checked, placed and tuned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import structlog

from telefuser_grpc.pipeline.checkpoint import (
    ModelUnusable,
    check_checkpoint,
    find_checkpoint,
    how_to_get,
    weight_bytes,
)
from telefuser_grpc.pipeline.loras import add_loras
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.tuning import (
    denoisers,
    device,
    free_bytes,
    place,
    quantization_config,
    tune,
)

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
        parallelism: Over how many devices the model is spread, by whole parts ("balanced").
        float32: Parts that keep full precision, such as a VAE that overflows in half.
        also: Other pipeline classes whose directories have the same parts.
        parts: Ready parts that take the place of those in the directory.

    Raises:
        ModelUnusable: There is no such model, it is not whole, of another family, or does not fit.
    """
    found = find_checkpoint(default, options)
    if isinstance(found, Path):
        names = (pipeline_class.__name__, *also)
        check_checkpoint(found, default=default, class_names=names)
        _check_memory(found, options, parallelism)
    pipe: P = _read(pipeline_class, found, _settings(options, parallelism, float32) | parts)
    add_loras(pipe, options.loras)
    tune(pipe, options)
    if parallelism == 1:
        place(pipe, options)
    logger.info("model loaded", model=str(options.model or default), denoisers=denoisers(pipe))
    return pipe


def _settings(options: ModelOptions, parallelism: int, float32: tuple[str, ...]) -> dict[str, Any]:
    import torch  # a replica's; the server process reads this module's neighbours only

    default = "bfloat16" if device() == "cuda" else "float32"
    dtype = getattr(torch, default if options.dtype == "auto" else options.dtype)
    settings: dict[str, Any] = {
        "torch_dtype": {"default": dtype} | dict.fromkeys(float32, torch.float32)
    }
    if parallelism > 1:
        settings["device_map"] = "balanced"
    if (config := quantization_config(options)) is not None:
        settings["quantization_config"] = config
    return settings


def _read(pipeline_class: Any, found: Path | str, settings: Mapping[str, Any]) -> Any:
    try:
        return pipeline_class.from_pretrained(
            found, local_files_only=isinstance(found, Path), **settings
        )
    except OSError as error:
        if isinstance(found, Path):
            raise _unreadable(found, error) from error
        raise ModelUnusable(f"The model {found} is not here; {how_to_get(found)}") from error
    except (AttributeError, ValueError, KeyError, RuntimeError) as error:
        if type(error).__name__ == "OutOfMemoryError":
            raise _too_large() from error
        raise _unreadable(Path(found), error) from error


def _unreadable(folder: Path, error: Exception) -> ModelUnusable:
    import diffusers
    import transformers

    return ModelUnusable(
        f"The model in {folder.name!r} cannot be read by diffusers {diffusers.__version__} and "
        f"transformers {transformers.__version__} ({error}); if it is newer than these, run "
        "`pip install --upgrade diffusers transformers`, else download it again"
    )


def _check_memory(folder: Path, options: ModelOptions, parallelism: int) -> None:
    """Refuses weights that cannot fit before minutes are spent on reading them."""
    if options.offload != "none" or options.quantization != "none":
        return
    if weight_bytes(folder) * _growth(options) > free_bytes(parallelism):
        raise _too_large()


def _growth(options: ModelOptions) -> float:
    """How much larger weights, most often stored in 16 bits, are in memory."""
    return 0.5 if options.dtype in ("bfloat16", "float16", "auto") else 1.0


def _too_large() -> ModelUnusable:
    return ModelUnusable(
        "The model does not fit into the free memory; set TELEFUSER_OFFLOAD=model, or "
        "TELEFUSER_QUANTIZATION=int8, or give each replica more devices (-g) or fewer replicas (-n)"
    )
