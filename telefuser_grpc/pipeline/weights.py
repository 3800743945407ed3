"""Reads of files of weights how large they are and whether they are whole, not the weights."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LOADED = re.compile(
    r"(diffusion_pytorch_model|pytorch_model|model)(-\d+-of-\d+)?\.(safetensors|bin)"
)
POINTER = b"version https://git-lfs"
HEADER_LIMIT = 100_000_000
"""Of the format itself: a longer header is none."""

Header = Mapping[str, Mapping[str, Any]]


def weight_files(part: Path) -> list[Path]:
    """Returns the files that diffusers and transformers read: no variants, one format of two."""
    named = sorted(path for path in part.iterdir() if LOADED.fullmatch(path.name))
    safe = [path for path in named if path.suffix == ".safetensors"]
    return safe or named


def fault_of(path: Path) -> str:
    """Says what is wrong with a file of weights; "" for nothing that its first bytes tell."""
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            return "is a git-lfs pointer, not the file (`git lfs pull` fetches it)"
    if path.suffix != ".safetensors":
        return "" if path.stat().st_size else "is empty"
    return "is cut short" if _header(path) is None else ""


def bytes_in_memory(path: Path, width: float) -> float:
    """Returns the memory that a whole file of weights takes, floats being `width` bytes each."""
    if path.suffix != ".safetensors":
        return path.stat().st_size / 2 * width  # stored in 16 bits, most often
    return sum(_sizes(_header(path) or {}, width))


def _sizes(header: Header, width: float) -> Iterator[float]:
    for each in header.values():
        is_float = str(each["dtype"]).startswith(("F", "BF"))
        begin, end = each["data_offsets"]
        count = 1
        for side in each["shape"]:
            count *= side
        yield count * width if is_float else end - begin


def _header(path: Path) -> Header | None:
    """Returns what a safetensors file says of its tensors; None if it is not whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size - 8, HEADER_LIMIT):
            return None
        try:
            entries: dict[str, Any] = json.loads(file.read(length))
        except ValueError:
            return None
    entries.pop("__metadata__", None)
    end = max((each["data_offsets"][1] for each in entries.values()), default=0)
    return entries if 8 + length + end <= size else None
