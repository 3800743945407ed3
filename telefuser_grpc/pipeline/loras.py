"""Merges LoRA adapters into a loaded pipeline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.failure import public_message


def add_loras(pipe: Any, loras: Sequence[str]) -> None:
    """Loads adapters, each `place` or `place:weight`, and merges them for good.

    Raises:
        ModelUnusable: One is not there or is for another model; the message names it.
    """
    for each in loras:
        place, weight = _split(each)
        if not hasattr(pipe, "load_lora_weights"):
            raise ModelUnusable(f"{type(pipe).__name__} takes no LoRA; unset TELEFUSER_LORAS")
        try:
            _add(pipe, place, weight)
        except Exception as error:  # adapters are anybody's files, and their readers raise anything
            raise ModelUnusable(
                f"TELEFUSER_LORAS: {Path(place).name!r} cannot be added to a "
                f"{type(pipe).__name__}: {public_message(error)}"
            ) from error


def _add(pipe: Any, place: str, weight: float) -> None:
    path = Path(place).expanduser()
    if path.is_file():
        pipe.load_lora_weights(path.parent, weight_name=path.name)
    elif path.is_dir() or _is_hub_id(place):
        pipe.load_lora_weights(path if path.is_dir() else place, local_files_only=True)
    else:
        raise ValueError("there is no such file or directory")
    changed = list(pipe.get_list_adapters())
    if not changed:
        raise ValueError("it changes no part of this model, so it is for another")
    pipe.fuse_lora(components=changed, lora_scale=weight)
    pipe.unload_lora_weights()


def _is_hub_id(place: str) -> bool:
    return place.count("/") == 1 and not place.startswith((".", "/", "~"))


def _split(text: str) -> tuple[str, float]:
    place, colon, weight = text.rpartition(":")
    try:
        return (place, float(weight)) if colon else (text, 1.0)
    except ValueError:
        return text, 1.0  # a colon of a Windows path
