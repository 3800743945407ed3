"""Model directories that look like those of the hub, without weights worth loading."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MODEL_INDEX: Mapping[str, Any] = {
    "_class_name": "WanPipeline",
    "_diffusers_version": "0.42.1",
    "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    "text_encoder": ["transformers", "UMT5EncoderModel"],
    "tokenizer": ["transformers", "T5Tokenizer"],
    "transformer": ["diffusers", "WanTransformer3DModel"],
    "transformer_2": [None, None],
    "vae": ["diffusers", "AutoencoderKLWan"],
}


def write_model(folder: Path) -> Path:
    """Writes a model directory that is whole: 10 numbers of 16 bits in each of three parts."""
    folder.mkdir(parents=True)
    write_json(folder / "model_index.json", MODEL_INDEX)
    write_json(folder / "scheduler" / "scheduler_config.json", {})
    write_json(folder / "tokenizer" / "tokenizer.json", {})
    write_weights(folder / "text_encoder" / "model.safetensors")
    for part in ("transformer", "vae"):
        write_weights(folder / part / "diffusion_pytorch_model.safetensors")
    for part in ("text_encoder", "transformer", "vae"):
        write_json(folder / part / "config.json", {})
    return folder


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def change_json(path: Path, **values: Any) -> None:
    """Sets keys of a JSON object."""
    write_json(path, json.loads(path.read_text()) | values)


def write_weights(path: Path, *, shape: Sequence[int] = (10,), dtype: str = "BF16") -> None:
    """Writes a safetensors file of one tensor of zeros."""
    width = {"BF16": 2, "F32": 4, "U8": 1}[dtype]
    count = width
    for side in shape:
        count *= side
    tensor = {"dtype": dtype, "shape": list(shape), "data_offsets": [0, count]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "weight": tensor}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(count))


def write_shards(part: Path, *, count: int, missing: Sequence[int] = ()) -> None:
    """Writes a part's weights as shards with their index, some of them left out."""
    for path in part.glob("*.safetensors"):
        path.unlink()
    names = [
        f"diffusion_pytorch_model-{each:05}-of-{count:05}.safetensors"
        for each in range(1, count + 1)
    ]
    weight_map = {f"weight.{number}": name for number, name in enumerate(names)}
    write_json(part / "diffusion_pytorch_model.safetensors.index.json", {"weight_map": weight_map})
    for number, name in enumerate(names, start=1):
        if number not in missing:
            write_weights(part / name)
