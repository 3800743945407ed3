"""Tells whether a model fits into memory before minutes are spent on reading it."""

import sys
from collections.abc import Mapping
from pathlib import Path

from telefuser_grpc.pipeline.checkpoint import ModelUnusable, parts_of
from telefuser_grpc.pipeline.context_parallel import splits
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.tuning import DENOISERS, device
from telefuser_grpc.pipeline.weights import bytes_in_memory, weight_files

CONTAINER = Path("/sys/fs/cgroup")
GB = 1e9
WIDTHS = {"int8": 1.0, "float8": 1.0, "int4": 0.5, "nf4": 0.5}
"""Bytes of a quantised weight."""
SPREAD = "set TELEFUSER_PARALLEL=spread, with which every device holds a part only"


def check_memory(
    folder: Path, options: ModelOptions, *, parallelism: int, widths: Mapping[str, float]
) -> None:
    """Holds the weights of a checked model against the memory that is free.

    Args:
        parallelism: How many devices share them, or hold them all.
        widths: Bytes of a weight by part, and "default" of all others.

    Raises:
        ModelUnusable: The weights alone do not fit; what a run needs comes on top.
    """
    sizes = _sizes(folder, options, widths)
    whole, largest = sum(sizes.values()), max(sizes.values(), default=0.0)
    if device() == "cpu":
        copies = parallelism if splits(options, parallelism) else 1
        remedy = _remedy_without_device(options)
        _require(copies * whole, free_bytes(), "main memory", remedy)
    elif splits(options, parallelism):
        _require(whole, free_bytes_here(), "device memory", SPREAD)
    elif options.offload == "none":
        _require(whole, free_device_bytes(parallelism), "device memory", _remedy(options))
    else:
        _require(whole, free_bytes(), "main memory", "free some, or set TELEFUSER_OFFLOAD=none")
        if options.offload == "model":
            _require(largest, free_device_bytes(1), "device memory", "set TELEFUSER_OFFLOAD=group")


def free_bytes() -> int:
    """Returns the main memory that new weights can take, what only caches files included."""
    import psutil  # type: ignore[import-untyped]  # it brings no types

    return min(int(psutil.virtual_memory().available), room_of_container(CONTAINER))


def room_of_container(group: Path) -> int:
    """Returns what a container's limit leaves, where there is one."""
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        stat = (group / "memory.stat").read_text().split()
    except (OSError, ValueError):  # no container, or no limit
        return sys.maxsize
    cached = int(stat[stat.index("inactive_file") + 1])
    return max(0, limit - used + cached)


def free_device_bytes(devices: int) -> int:
    """Returns the free memory of the first devices together."""
    import torch

    count = min(devices, torch.cuda.device_count())
    return sum(torch.cuda.mem_get_info(number)[0] for number in range(count))


def free_bytes_here() -> int:
    """Returns the free memory of this process's own device."""
    import torch

    return int(torch.cuda.mem_get_info()[0])


def too_large(sizes: str, remedy: str) -> ModelUnusable:
    """Returns the error of a model for which there is no room."""
    return ModelUnusable(f"The model does not fit into the free memory{sizes}: {remedy}")


def out_of_memory(options: ModelOptions, *, parallelism: int = 1) -> ModelUnusable:
    """Returns the error of a model that ran out of memory while it was loaded."""
    if device() == "cpu":
        return too_large("", _remedy_without_device(options))
    return too_large("", SPREAD if splits(options, parallelism) else _remedy(options))


def _sizes(folder: Path, options: ModelOptions, widths: Mapping[str, float]) -> dict[str, float]:
    if width := WIDTHS.get(options.quantization):
        widths = {**widths, **dict.fromkeys(DENOISERS, width)}
    return {
        part.name: sum(
            bytes_in_memory(path, widths.get(part.name, widths["default"]))
            for path in weight_files(part)
        )
        for part in parts_of(folder)
    }


def _require(needed: float, free: int, where: str, remedy: str) -> None:
    if needed > free:
        raise too_large(
            f" (its weights take {needed / GB:.1f} GB, and {free / GB:.1f} GB of {where} are free)",
            remedy,
        )


def _remedy(options: ModelOptions) -> str:
    ways = ["set TELEFUSER_OFFLOAD=model"]
    if options.quantization == "none":
        ways.append("set TELEFUSER_QUANTIZATION=int8")
    return ", or ".join([*ways, "give each replica more devices (-g) or run fewer replicas (-n)"])


def _remedy_without_device(options: ModelOptions) -> str:
    ways = [] if options.dtype in ("bfloat16", "float16") else ["set TELEFUSER_DTYPE=bfloat16"]
    return ", or ".join([*ways, "run fewer replicas (-n), or use a machine with more memory"])
