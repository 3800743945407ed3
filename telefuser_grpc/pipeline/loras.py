"""Merges LoRA adapters into a loaded pipeline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from telefuser_grpc.pipeline.checkpoint import ModelUnusable


def add_loras(pipe: Any, loras: Sequence[str]) -> None:
    """Loads adapters, each `place` or `place:weight`, and merges them for good.

    Raises:
        ModelUnusable: One is not there or is for another model; the message names it.
    """
    for each in loras:
        place, weight = _split(each)
        if not hasattr(pipe, "load_lora_weights"):
            raise ModelUnusable(f"{type(pipe).__name__} takes no LoRA; unset TELEFUSER_LORAS")
        _add(pipe, place, weight)


def _add(pipe: Any, place: str, weight: float) -> None:
    path = Path(place).expanduser()
    try:
        if path.is_file():
            pipe.load_lora_weights(path.parent, weight_name=path.name)
        else:
            pipe.load_lora_weights(path if path.is_dir() else place)
        pipe.fuse_lora(lora_scale=weight)
        pipe.unload_lora_weights()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelUnusable(
            f"TELEFUSER_LORAS: {path.name!r} cannot be added to a {type(pipe).__name__} ({error})"
        ) from error


def _split(text: str) -> tuple[str, float]:
    place, colon, weight = text.rpartition(":")
    try:
        return (place, float(weight)) if colon else (text, 1.0)
    except ValueError:
        return text, 1.0  # a colon of a Windows path
