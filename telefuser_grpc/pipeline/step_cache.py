"""Skips work between similar denoising steps, where the model's class makes that sound."""

import inspect
from collections.abc import Iterable
from typing import Any

from telefuser_grpc.pipeline.checkpoint import ModelUnusable

REMEDY = "set TELEFUSER_STEP_CACHE=none, or another"
ATTENTION = (r"[\w.]*blocks\.\d+\.attn\d?", r"[\w.]*layers\.\d+\.attention")
"""The attention of every block, by its whole name; the patterns of diffusers miss a number."""

FAILING = {("first_block", "Flux2Transformer2DModel")}
"""Caches with which diffusers 0.42 fails in the first step."""


def enable_step_cache(pipe: Any, name: str, parts: Iterable[Any]) -> None:
    """Gives the denoisers of a pipeline a cache.

    Raises:
        ModelUnusable: The class runs its denoiser in a way that the cache would mix up.
    """
    check_step_cache(pipe, name)
    for part in parts:
        if not hasattr(part, "enable_cache"):
            raise _refused(name, f"{type(part).__name__} has no step caches")
        if (name, type(part).__name__) in FAILING:
            raise _refused(name, f"{type(part).__name__} fails with it")
        try:
            part.enable_cache(_config(name, part))
        except (ValueError, LookupError) as error:
            raise _refused(name, str(error)) from error
        if not any(hasattr(each, "_diffusers_hook") for each in list(part.modules())[1:]):
            raise _refused(name, f"{type(part).__name__} has nothing that it could skip")


def check_step_cache(pipe: Any, name: str) -> None:
    """Asks of a pipeline that runs cached denoisers whether it can.

    Raises:
        ModelUnusable
    """
    code = inspect.unwrap(type(pipe).__call__).__code__
    if "cache_context" not in code.co_names:
        raise _refused(name, f"{type(pipe).__name__} does not tell its passes apart")
    passes = {text for text in code.co_consts if isinstance(text, str) and "uncond" in text}
    if name == "pyramid" and passes != {"cond_uncond"}:
        raise _refused(
            name,
            f"{type(pipe).__name__} runs its denoiser several times a step, which this cache "
            "mixes up",
        )


def _refused(name: str, why: str) -> ModelUnusable:
    return ModelUnusable(f"TELEFUSER_STEP_CACHE={name}: {why}; {REMEDY}")


def _config(name: str, part: Any) -> Any:
    from diffusers import FirstBlockCacheConfig, PyramidAttentionBroadcastConfig
    from diffusers.hooks import TaylorSeerCacheConfig

    if name == "first_block":
        return FirstBlockCacheConfig(threshold=0.1)
    if name == "taylorseer":
        return TaylorSeerCacheConfig(cache_identifiers=list(ATTENTION))
    return PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2,
        current_timestep_callback=Clock(part).read,
    )


class Clock:
    """Knows the timestep that a denoiser is given, whichever of several pipelines runs it."""

    def __init__(self, part: Any) -> None:
        self._timestep = 0.0
        part.register_forward_pre_hook(self._note, with_kwargs=True)

    def read(self) -> float:
        """Returns the timestep of the current or last pass."""
        return self._timestep

    def _note(self, part: Any, values: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._timestep = float(named["timestep"].max())  # a given frame has none, the others have
