"""Skips work between similar denoising steps, where the model's class makes that sound."""

import inspect
from collections.abc import Iterable
from typing import Any

from telefuser_grpc.pipeline.checkpoint import ModelUnusable

REMEDY = "set TELEFUSER_STEP_CACHE=none, or another"
ATTENTION = (r"[\w.]*blocks\.\d+\.attn\d?", r"[\w.]*layers\.\d+\.attention")
"""The attention of every block, by its whole name; the patterns of diffusers miss a number."""


def enable_step_cache(pipe: Any, name: str, parts: Iterable[Any]) -> None:
    """Gives the denoisers of a pipeline a cache.

    Raises:
        ModelUnusable: The class runs its denoiser in a way that the cache would mix up.
    """
    why_not = _why_not(pipe, name)
    for part in parts:
        if why_not or not hasattr(part, "enable_cache"):
            raise _refused(name, f"{type(pipe).__name__} {why_not or 'has no step caches'}")
        try:
            part.enable_cache(_config(name, pipe))
        except (ValueError, LookupError) as error:
            raise _refused(name, str(error)) from error
        if not any(hasattr(each, "_diffusers_hook") for _, each in _inner(part)):
            raise _refused(name, f"{type(part).__name__} has nothing that it could skip")


def _why_not(pipe: Any, name: str) -> str:
    code = inspect.unwrap(type(pipe).__call__).__code__
    if "cache_context" not in code.co_names:
        return "does not tell its passes apart"
    passes = {text for text in code.co_consts if isinstance(text, str) and "uncond" in text}
    if name == "pyramid" and passes != {"cond_uncond"}:
        return "runs its denoiser several times a step, which this cache mixes up"
    return ""


def _refused(name: str, why: str) -> ModelUnusable:
    return ModelUnusable(f"TELEFUSER_STEP_CACHE={name}: {why}; {REMEDY}")


def _inner(part: Any) -> Iterable[tuple[str, Any]]:
    return ((name, module) for name, module in part.named_modules() if name)


def _config(name: str, pipe: Any) -> Any:
    from diffusers import FirstBlockCacheConfig, PyramidAttentionBroadcastConfig
    from diffusers.hooks import TaylorSeerCacheConfig

    if name == "first_block":
        return FirstBlockCacheConfig(threshold=0.1)
    if name == "taylorseer":
        return TaylorSeerCacheConfig(cache_identifiers=list(ATTENTION))
    return PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2,
        current_timestep_callback=lambda: pipe.current_timestep,
    )
