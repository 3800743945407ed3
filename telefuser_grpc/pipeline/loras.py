"""Merges LoRA adapters into a loaded pipeline."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.failure import public_message
from telefuser_grpc.pipeline.weights import fault_of

EXPERTS = ("transformer", "transformer_2")
"""Denoisers of which a model may have both: for the first, noisy steps, and for the later ones."""
USUAL_NAME = "pytorch_lora_weights.safetensors"
INTO_SECOND = {"load_into_transformer_2": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lora:
    """What an operator says of an adapter; no part means all experts."""

    place: str
    weight: float
    part: str


def add_loras(pipe: Any, loras: Sequence[str]) -> None:
    """Loads adapters and merges them for good.

    Args:
        loras: Each `place` or `place:weight`, and `transformer=` or `transformer_2=` before it
            where it is for one of two experts only.

    Raises:
        ModelUnusable: One is not there or is for another model; the message names it.
    """
    for each in loras:
        lora = _read(each)
        if not hasattr(pipe, "load_lora_weights"):
            raise ModelUnusable(f"{type(pipe).__name__} takes no LoRA; unset TELEFUSER_LORAS")
        try:
            _add(pipe, lora)
        except Exception as error:  # adapters are anybody's files, and their readers raise anything
            why = str(error) if isinstance(error, _Refused) else _for_another(error)
            raise ModelUnusable(
                f"The adapter {Path(lora.place).name!r}, of TELEFUSER_LORAS or of the pipeline "
                f"file, cannot be added to a {type(pipe).__name__}: {why}"
            ) from error


def _for_another(error: Exception) -> str:
    return f"take one that was made for this model ({public_message(error)})"


class _Refused(Exception):
    """The message says why, and what to do."""


def _read(text: str) -> _Lora:
    part, equals, rest = text.partition("=")
    if part not in EXPERTS or not equals:
        part, rest = "", text
    place, colon, number = rest.rpartition(":")
    try:
        weight = float(number) if colon else 1.0
    except ValueError:  # a colon of a Windows path
        place, weight = rest, 1.0
    return _Lora(place=place or rest, weight=weight, part=part)


def _add(pipe: Any, lora: _Lora) -> None:
    if not math.isfinite(lora.weight):
        raise _Refused(f"its weight is {lora.weight}; give a number, as in place:0.8")
    experts = [name for name in EXPERTS if getattr(pipe, name, None) is not None]
    if lora.part and lora.part not in experts:
        raise _Refused(f"this model has no {lora.part}; leave `{lora.part}=` out")
    source, named = _source(lora.place)
    for expert in [lora.part] if lora.part else experts or [""]:
        into = INTO_SECOND if expert == EXPERTS[1] else {}
        pipe.load_lora_weights(source, **named, **into)
        _merge(pipe, lora.weight)


def _source(place: str) -> tuple[Path, dict[str, str]]:
    """Returns what diffusers reads an adapter from."""
    path = Path(place).expanduser()
    if path.is_file():
        if fault := fault_of(path):
            raise _Refused(f"it {fault}; download it again")
        return path.parent, {"weight_name": path.name}
    if path.is_dir():
        return _source_in(path)
    if not _is_hub_id(place):
        raise _Refused("there is no such file or directory; name the file of an adapter")
    from huggingface_hub import snapshot_download  # a replica's, heavy

    try:
        return _source_in(Path(snapshot_download(place, local_files_only=True)))
    except (OSError, ValueError):
        raise _Refused(
            f"it is no directory, nor in the cache of the hub; run `hf download {place}`"
        ) from None


def _source_in(folder: Path) -> tuple[Path, dict[str, str]]:
    files = sorted(path.name for path in folder.glob("*.safetensors"))
    files = [name for name in files if name == USUAL_NAME] or files
    if len(files) > 1:
        raise _Refused(f"it has several adapters; name the file of one, as {files[0]}")
    if not files:
        raise _Refused("it has no *.safetensors; name the file of an adapter")
    return _source(str(folder / files[0]))


def _merge(pipe: Any, weight: float) -> None:
    changed = list(pipe.get_list_adapters())
    if not changed:
        raise _Refused("it is empty, or for another model: it changes nothing; take one for this")
    pipe.fuse_lora(components=changed, lora_scale=weight)
    pipe.unload_lora_weights()


def _is_hub_id(place: str) -> bool:
    is_path = place.startswith((".", "/", "~")) or place.endswith(".safetensors")
    return place.count("/") == 1 and not is_path
