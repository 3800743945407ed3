"""Reads a diffusers model directory without its weights: its class and what its parts say."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telefuser_grpc.pipeline import checkpoint
from telefuser_grpc.pipeline.checkpoint import INDEX
from telefuser_grpc.pipeline.drafting.refusal import CannotDraft
from telefuser_grpc.pipeline.weights import weight_files

SINGLE_FILES = ("*.safetensors", "*.ckpt", "*.gguf")
AUTOENCODERS = ("vae", "vqvae", "movq", "vqgan")
DENOISERS = ("transformer", "unet", "prior", "decoder")

Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model directory.

    Attributes:
        pipeline_class: The diffusers class that it is for.
        index: Its model_index.json.
        parts: The class of each part that is there.
        autoencoder: The settings of what decodes its latents, {} without one; what its class
            computes of them is among them.
        denoiser: The settings of what denoises, as they are stored.
        weight_bytes: The size of the weights of each part that has some.
    """

    folder: Path
    pipeline_class: Any
    index: Settings
    parts: Mapping[str, str]
    autoencoder: Settings
    denoiser: Settings
    weight_bytes: Mapping[str, int]


def read_model(folder: Path) -> Model:
    """Reads a directory.

    Raises:
        CannotDraft: It holds no diffusers model, or one of a class that is not known here.
    """
    folder = folder.expanduser().absolute()
    index = _index(folder)
    parts = {
        name: str(origin[1])
        for name, origin in index.items()
        if isinstance(origin, list) and len(origin) == 2 and None not in origin
    }
    return Model(
        folder=folder,
        pipeline_class=_pipeline_class(index),
        index=index,
        parts=parts,
        autoencoder=_first(_autoencoder(folder, name, parts) for name in AUTOENCODERS),
        denoiser=_first(_settings(folder, name) for name in DENOISERS),
        weight_bytes={name: size for name in parts if (size := _weight_bytes(folder / name))},
    )


def title(folder: Path) -> str:
    """Returns what a model is called, without what the hub's cache puts before a name."""
    return re.sub("^models--.*--", "", checkpoint.title(folder))


def _index(folder: Path) -> Settings:
    if not folder.is_dir():
        raise CannotDraft(
            f"there is no directory {str(folder)!r}; download the model with "
            f"`hf download <id> --local-dir {folder}`, or name the directory that it is in"
        )
    if not (folder / INDEX).is_file():
        raise CannotDraft(f"{str(folder)!r} has no {INDEX}; {_nearest(folder)}")
    index = _read(folder / INDEX)
    if not isinstance(index.get("_class_name"), str):
        raise CannotDraft(f"{INDEX} in {str(folder)!r} names no class; download the model again")
    return index


def _nearest(folder: Path) -> str:
    below = sorted(path.parent.name for path in folder.glob(f"*/{INDEX}"))
    if below:
        return f"name the folder of one model in it, such as {below[0]!r}"
    if (folder.parent / INDEX).is_file():
        return "it is a part of a model: name the directory above it"
    if any(any(folder.glob(pattern)) for pattern in SINGLE_FILES):
        return (
            "its weights are single files: convert them with `from_single_file` and "
            "`save_pretrained` of diffusers, or download the model's diffusers form"
        )
    return "download the model in its diffusers form, whose directory has one"


def _pipeline_class(index: Settings) -> Any:
    import diffusers  # heavy

    name = index["_class_name"]
    found = getattr(diffusers, name, None)
    if not (isinstance(found, type) and issubclass(found, diffusers.DiffusionPipeline)):
        made_with = index.get("_diffusers_version", "")
        made = f", and the model was made with {made_with}" if made_with else ""
        raise CannotDraft(
            f"diffusers {diffusers.__version__} has no pipeline class {name!r}{made}; run `pip "
            "install --upgrade diffusers`, or write a file for the class's own code by hand"
        )
    return found


def _first(found: Iterator[Settings]) -> Settings:
    return next((each for each in found if each), {})


def _autoencoder(folder: Path, name: str, parts: Mapping[str, str]) -> Settings:
    """Returns the settings with the defaults of the class, and what it computes of both."""
    stored = _settings(folder, name)
    if not stored:
        return {}
    import diffusers
    import torch

    known = getattr(diffusers, parts.get(name, ""), None)
    if known is None:
        return stored
    try:
        with torch.device("meta"):  # its shape alone, in no memory
            built = known.from_config(dict(stored))
    except Exception as error:  # settings are anybody's, and a class raises anything of them
        raise CannotDraft(
            f"diffusers {diffusers.__version__} cannot read {name}/config.json; run `pip install "
            "--upgrade diffusers`, or download the model again"
        ) from error
    names = ("spatial_compression_ratio", "temporal_compression_ratio")
    computed = {each: value for each in names if (value := vars(built).get(each)) is not None}
    return {**built.config, **computed}


def _settings(folder: Path, name: str) -> Settings:
    path = folder / name / "config.json"
    return _read(path) if path.is_file() else {}


def _read(path: Path) -> Settings:
    try:
        read = json.loads(path.read_text())
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise CannotDraft(f"{str(path)!r} is no JSON object; download the model again")
    return read


def _weight_bytes(part: Path) -> int:
    return sum(path.stat().st_size for path in weight_files(part)) if part.is_dir() else 0
