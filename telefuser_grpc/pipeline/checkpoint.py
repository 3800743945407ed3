"""Finds the directory of a diffusers model and tells what is wrong with it before it is loaded."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from telefuser_grpc.pipeline.options import ModelOptions

INDEX = "model_index.json"
POINTER = b"version https://git-lfs"


class ModelUnusable(Exception):
    """A model cannot be served; the message says what to download or change."""


def find_checkpoint(default: str, options: ModelOptions) -> Path | str:
    """Returns the directory of a model, or its hub id where only the hub's cache may have it.

    Args:
        default: The hub id of the pipeline file's own model.
    """
    wanted = options.model or default
    places = [Path(wanted).expanduser()] if options.model else []
    if options.models_folder:
        places.append(Path(options.models_folder).expanduser() / wanted)
    found = next((place for place in places if place.is_dir()), None)
    if found is None and _is_path(wanted):
        raise ModelUnusable(f"There is no directory {wanted!r}; set TELEFUSER_MODEL to one")
    return wanted if found is None else found


def how_to_get(hub_id: str) -> str:
    """Says how an operator gets a model."""
    return (
        f"download it with `hf download {hub_id} --local-dir models/{hub_id}` and set "
        "TELEFUSER_MODELS_FOLDER=models, or name its directory with TELEFUSER_MODEL"
    )


def check_checkpoint(folder: Path, *, default: str, class_names: tuple[str, ...]) -> None:
    """Looks at a model directory without loading it.

    Args:
        default: The hub id of a model that would do, for the remedy.
        class_names: The pipeline classes whose directories have the right parts.

    Raises:
        ModelUnusable: It is empty, of another family, or files are missing.
    """
    index = _read_index(folder, default)
    name = index.get("_class_name", "?")
    if name not in class_names:
        raise ModelUnusable(
            f"The model in {folder.name!r} is a {name}, and this file serves "
            f"{' or '.join(class_names)}; {how_to_get(default)}"
        )
    if missing := sorted(_missing_files(folder, index)):
        raise ModelUnusable(
            f"The model in {folder.name!r} is not whole, {', '.join(missing[:5])} "
            f"{'is' if len(missing) == 1 else 'are'} missing; {how_to_get(default)} "
            "(a download that broke off goes on where it stopped)"
        )


def weight_bytes(folder: Path) -> int:
    """Returns the size of all weights of a model."""
    return sum(path.stat().st_size for path in folder.glob("*/*.safetensors"))


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or text.count("/") != 1


def _read_index(folder: Path, default: str) -> Mapping[str, Any]:
    path = folder / INDEX
    if not path.is_file():
        raise ModelUnusable(
            f"The directory {folder.name!r} holds no diffusers model: it has no {INDEX}; "
            f"{how_to_get(default)}"
        )
    try:
        index: dict[str, Any] = json.loads(path.read_text())
    except ValueError:
        raise ModelUnusable(
            f"{INDEX} in {folder.name!r} is no JSON; {how_to_get(default)}"
        ) from None
    return index


def _missing_files(folder: Path, index: Mapping[str, Any]) -> Iterator[str]:
    for part, origin in index.items():
        if part.startswith("_") or not isinstance(origin, list) or None in origin:
            continue
        if not (folder / part).is_dir():
            yield part
            continue
        yield from _missing_weights(folder / part)


def _missing_weights(part: Path) -> Iterator[str]:
    for each in part.glob("*.index.json"):
        for name in sorted(set(json.loads(each.read_text())["weight_map"].values())):
            if not (part / name).is_file():
                yield f"{part.name}/{name}"
    if _is_model(part) and not any(part.glob("*.safetensors*")) and not any(part.glob("*.bin")):
        yield f"{part.name}/*.safetensors"
    for each in part.glob("*.safetensors"):
        if _is_broken(each):
            yield f"{part.name}/{each.name}"


def _is_model(part: Path) -> bool:
    return (part / "config.json").is_file() and not (part / "tokenizer_config.json").is_file()


def _is_broken(weights: Path) -> bool:
    """Tells whether a safetensors file is a pointer, or shorter than its header says."""
    with weights.open("rb") as file:
        head = file.read(8)
        length = int.from_bytes(head, "little")
        if head == POINTER[:8] or not 0 < length < weights.stat().st_size:
            return True
        try:
            entries = json.loads(file.read(length))
        except ValueError:
            return True
    ends = [each["data_offsets"][1] for name, each in entries.items() if name != "__metadata__"]
    return weights.stat().st_size < 8 + length + max(ends, default=0)
