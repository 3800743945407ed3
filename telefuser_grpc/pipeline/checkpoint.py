"""Finds the directory of a diffusers model and tells what is wrong with it before it is loaded."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from telefuser_grpc.pipeline.loader import PipelineLoadError
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.weights import fault_of, weight_files

INDEX = "model_index.json"
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model")
LIBRARIES = ("diffusers", "transformers")
SETTINGS = {
    "Scheduler": ("scheduler_config.json",),
    "Tokenizer": VOCABULARIES,
    "TokenizerFast": VOCABULARIES,
    "Processor": ("*processor_config.json",),
    "Extractor": ("preprocessor_config.json",),
}
"""Of which files a part without weights needs one, by the end of its class's name."""
READ_FILES = ("*.json", "*.txt", "*.model")
"""What is read of a part besides its weights."""
SHARD = re.compile(r"-\d+-of-\d+")
WITHOUT_FILES = frozenset({"ByT5Tokenizer"})  # it reads bytes, and has no vocabulary


class ModelUnusable(PipelineLoadError):
    """A model cannot be served; the message says what to download or change, and no path."""


def find_checkpoint(default: str, options: ModelOptions) -> Path:
    """Returns the directory of a model: as named, in the models folder, or in the hub's cache.

    Args:
        default: The hub id of the pipeline file's own model, or its directory.

    Raises:
        ModelUnusable: It is in none of these.
    """
    wanted = options.model or default
    is_named = options.model or Path(default).is_absolute()
    places = [Path(wanted).expanduser()] if is_named else []
    if options.models_folder:
        places.append(Path(options.models_folder).expanduser() / wanted)
    found = next((place for place in places if place.is_dir()), None) or _cached(wanted)
    if found is None and options.model:
        raise ModelUnusable(
            f"TELEFUSER_MODEL names {_short(wanted)!r}, which is no directory; "
            f"{how_to_get(default)}"
        )
    if found is None:
        raise ModelUnusable(f"The model {_short(wanted)} is not here; {how_to_get(default)}")
    return found


def how_to_get(hub_id: str) -> str:
    """Says how an operator gets a model."""
    if Path(hub_id).is_absolute():
        return "put it where the pipeline file says, or name its directory with TELEFUSER_MODEL"
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
        ModelUnusable: It is empty, of another family, files are missing, or it is too new.
    """
    index = _read_index(folder, default)
    name = index.get("_class_name", "?")
    if name not in class_names:
        raise ModelUnusable(
            f"The model in {title(folder)!r} is a {name}, and this file serves "
            f"{' or '.join(class_names)}; {how_to_get(default)}"
        )
    if unknown := sorted(_unknown(index, str(name))):
        raise too_new(folder, f"{', '.join(unknown)} in {INDEX}", index)
    if faults := sorted(_faults(folder, index)):
        raise ModelUnusable(
            f"The model in {title(folder)!r} is not whole: {'; '.join(faults[:5])}; "
            f"{how_to_get(default)} (a download that broke off goes on where it stopped)"
        )


def parts_of(folder: Path) -> list[Path]:
    """Returns the folders of a checked model that are loaded."""
    return [folder / part for part in _parts(json.loads((folder / INDEX).read_text()))]


def too_new(folder: Path, what: str, index: Mapping[str, Any] | None = None) -> ModelUnusable:
    """Returns the error of a model that these libraries do not know all of."""
    import diffusers
    import transformers

    made_with = (index or {}).get("_diffusers_version", "")
    return ModelUnusable(
        f"The model in {title(folder)!r} cannot be read by diffusers {diffusers.__version__} and "
        f"transformers {transformers.__version__}: {what}; if it is newer than these"
        f"{f' (it was made with diffusers {made_with})' if made_with else ''}, run "
        "`pip install --upgrade diffusers transformers`, else download it again"
    )


def title(folder: Path) -> str:
    """Returns what a directory is called; in the hub's cache that is two levels up."""
    return folder.parents[1].name if folder.parent.name == "snapshots" else folder.name


def _cached(hub_id: str) -> Path | None:
    from huggingface_hub import snapshot_download  # a replica's, heavy

    try:
        return Path(snapshot_download(hub_id, local_files_only=True))
    except (OSError, ValueError):  # it is not there, or such a text is no id
        return None


def _short(place: str) -> str:
    """Returns a hub id as it is, and the end of a path."""
    is_path = place.startswith((".", "/", "~")) or place.count("/") != 1
    return Path(place).name if is_path else place


def _read_index(folder: Path, default: str) -> Mapping[str, Any]:
    path = folder / INDEX
    if not path.is_file():
        raise ModelUnusable(
            f"The directory {title(folder)!r} holds no diffusers model: it has no {INDEX}; "
            f"{how_to_get(default)}"
        )
    index = _read_object(path)
    if index is None:
        raise ModelUnusable(
            f"{INDEX} in {title(folder)!r} is no JSON object; {how_to_get(default)}"
        )
    return index


def _read_object(path: Path) -> Mapping[str, Any] | None:
    try:
        read = json.loads(path.read_text())
    except (OSError, ValueError):  # a link of the hub's cache to what is not there, or no JSON
        return None
    return read if isinstance(read, dict) else None


def _parts(index: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Returns library and class of every part that is there."""
    return {
        part: (str(origin[0]), str(origin[1]))
        for part, origin in index.items()
        if isinstance(origin, list) and len(origin) == 2 and None not in origin
    }


def _unknown(index: Mapping[str, Any], name: str) -> Iterator[str]:
    for library, class_name in _parts(index).values():
        if library in LIBRARIES and _class_of(library, class_name) is None:
            yield f"the class {library}.{class_name}"
    pipeline = _class_of("diffusers", name)
    known = inspect.signature(pipeline.__init__).parameters if pipeline else index
    for key, value in index.items():
        if not key.startswith("_") and value != [None, None] and key not in known:
            yield f"the key {key!r}"


def _class_of(library: str, name: str) -> Any:
    """Returns a class of a library that is read; None if it has none of that name."""
    return getattr(import_module(library), name, None) if library in LIBRARIES else None


def _faults(folder: Path, index: Mapping[str, Any]) -> Iterator[str]:
    for name, (library, class_name) in _parts(index).items():
        part = folder / name
        if not part.is_dir():
            yield f"{name} is missing"
            continue
        part_class = _class_of(library, class_name)
        yield from _faults_of_files(part)
        yield from _faults_of_shards(part)
        if _has_weights(part_class):
            yield from _lack_of_weights(part)
        for wanted in _wanted(part_class):
            if not any(any(part.glob(pattern)) for pattern in wanted):
                yield f"{name}/{' or '.join(wanted)} is missing"


def _faults_of_files(part: Path) -> Iterator[str]:
    others = [path for pattern in READ_FILES for path in part.glob(pattern)]
    for path in (*weight_files(part), *others):
        if fault := fault_of(path):
            yield f"{part.name}/{path.name} {fault}"


def _faults_of_shards(part: Path) -> Iterator[str]:
    there = weight_files(part)
    form = there[0].suffix if there else ".safetensors"
    indexes = list(part.glob(f"*model{form}.index.json"))
    for path in indexes:
        listed = (_read_object(path) or {}).get("weight_map")
        if not isinstance(listed, dict):
            yield f"{part.name}/{path.name} lists no weights"
            continue
        for name in set(map(str, listed.values())):
            if not (part / name).is_file():
                yield f"{part.name}/{name} is missing"
    if there and not indexes and all(SHARD.search(path.name) for path in there):
        yield f"{part.name}/{SHARD.sub('', there[0].name)}.index.json is missing"


def _lack_of_weights(part: Path) -> Iterator[str]:
    if weight_files(part) or any(part.glob("*model.*.index.json")):
        return
    variant = min((path.name for path in part.glob("*model.*.safetensors")), default="")
    if variant:
        yield f"{part.name} has only {variant}, a variant, and needs the file of the plain name"
    else:
        yield f"the weights of {part.name} are missing"


def _has_weights(part_class: Any) -> bool:
    from torch.nn import Module

    return isinstance(part_class, type) and issubclass(part_class, Module)


def _wanted(part_class: Any) -> Iterator[tuple[str, ...]]:
    """Yields of which files a part of a class needs one."""
    name = getattr(part_class, "__name__", "")
    if _has_weights(part_class):
        yield ("config.json",)
    if name not in WITHOUT_FILES:
        yield from (files for end, files in SETTINGS.items() if name.endswith(end))
