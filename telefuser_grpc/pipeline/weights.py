"""Reads of files of weights how large they are and whether they are whole, not the weights."""

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LOADED = re.compile(
    r"(diffusion_pytorch_model|pytorch_model|model)(-\d+-of-\d+)?\.(safetensors|bin)"
)
POINTER = b"version https://git-lfs"
PAGE = re.compile(rb"\s*<(!doctype|html|\?xml|head|body)", re.IGNORECASE)
ZIP = b"PK"
HEADER_LIMIT = 100_000_000
"""Of the format itself: a longer header is none."""

Header = Mapping[str, Mapping[str, Any]]


def weight_files(part: Path) -> list[Path]:
    """Returns the files that diffusers and transformers read: no variants, one format of two."""
    named = sorted(path for path in part.iterdir() if LOADED.fullmatch(path.name))
    safe = [path for path in named if path.suffix == ".safetensors"]
    return safe or named


def fault_of(path: Path) -> str:
    """Says what is wrong with a file of a model; "" for nothing that can be told without it all."""
    try:
        return _fault_of(path)
    except FileNotFoundError:  # a link of the hub's cache to what is not there
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def bytes_in_memory(path: Path, width: float) -> float:
    """Returns the memory that a whole file of weights takes, floats being `width` bytes each."""
    if path.suffix != ".safetensors":
        return path.stat().st_size / 2 * width  # stored in 16 bits, most often
    return sum(_sizes(_header(path) or {}, width))


def _fault_of(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "is empty"
    if start.startswith(POINTER):
        return "is a git-lfs pointer, not the file (`git lfs pull` fetches it)"
    if PAGE.match(start):
        return "is a web page, not the file"
    if path.suffix == ".json":
        return "" if _is_json(path) else "is no JSON"
    is_cut = start.startswith(ZIP) and not zipfile.is_zipfile(path)
    if path.suffix == ".safetensors":
        is_cut = _header(path) is None
    return "is cut short" if is_cut else ""


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


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
            entries.pop("__metadata__", None)
            end = max((each["data_offsets"][1] for each in entries.values()), default=0)
        except (ValueError, TypeError, LookupError, AttributeError):  # any bytes may be there
            return None
    return entries if 8 + length + end <= size else None
