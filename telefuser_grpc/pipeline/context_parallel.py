"""Splits the sequence of every step among the devices of a replica.

Each device has a process of its own, a rank, which holds the whole model. All ranks run the same
requests; within each step they exchange what attention needs, by the means of diffusers.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.failure import public_message
from telefuser_grpc.pipeline.options import ModelOptions

SETTING = "TELEFUSER_PARALLEL=context"
REMEDY = "set TELEFUSER_PARALLEL=spread"
LOOPBACK = "lo"
FAILING = {"LTXVideoTransformer3DModel", "LTX2VideoTransformer3DModel"}
"""Classes that diffusers 0.42 claims to split, and fails to in the first step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Where the ranks of a replica find each other, and which of them this process is.

    Attributes:
        file: A path in a private folder, the same for all ranks.
    """

    file: str
    rank: int
    size: int


def splits(options: ModelOptions, parallelism: int) -> bool:
    """Tells whether the sequence is split among several ranks."""
    return options.parallel == "context" and parallelism > 1


def meet(meeting: Meeting) -> None:
    """Takes this rank's device and waits for the other ranks: on a machine without GPUs, too.

    Raises:
        ModelUnusable: There are not as many devices, or the ranks cannot reach each other.
    """
    import torch
    from torch import distributed

    _stay_on_this_machine()
    backend = "gloo"
    if torch.cuda.is_available():
        _take_device(meeting)
        backend = "cpu:gloo,cuda:nccl"
    else:
        _gather_by_turns()
    try:
        distributed.init_process_group(
            backend,
            store=distributed.FileStore(meeting.file, meeting.size),
            rank=meeting.rank,
            world_size=meeting.size,
        )
    except (RuntimeError, ValueError) as error:
        raise _refused(f"its processes cannot reach each other: {public_message(error)}") from error


def check_context(options: ModelOptions) -> None:
    """Asks whether the other settings go with it. Raises ModelUnusable."""
    if options.offload != "none":
        raise _refused(f"it does not go with TELEFUSER_OFFLOAD={options.offload}; unset that")
    if options.step_cache != "none":
        raise _refused(
            f"it does not go with TELEFUSER_STEP_CACHE={options.step_cache}, by which each device "
            "would skip other work; unset that"
        )


def split_sequences(denoisers: Iterable[Any], size: int) -> None:
    """Lets the denoisers of a pipeline share each step with the other ranks.

    Raises:
        ModelUnusable: A class cannot be split, or not among so many.
    """
    from diffusers import ContextParallelConfig

    for denoiser in denoisers:
        _check_class(denoiser, size)
        config = ContextParallelConfig(ulysses_degree=size, ulysses_anything=True)
        try:
            with _devices_counted():
                denoiser.enable_parallelism(config=config)
        except (ValueError, RuntimeError) as error:
            raise _refused(public_message(error)) from error


def check_split(pipes: Iterable[Any]) -> None:
    """Asks whether a loaded pipeline shares its steps at all. Raises ModelUnusable."""
    for pipe in pipes:
        if any(getattr(part, "_parallel_config", None) for part in pipe.components.values()):
            return
    raise _refused(
        "the pipeline file has no diffusers model that was loaded by "
        f"`load_model(..., parallelism=parallelism)`; {REMEDY}"
    )


def _check_class(denoiser: Any, size: int) -> None:
    name = type(denoiser).__name__
    if getattr(denoiser, "_cp_plan", None) is None or name in FAILING:
        raise _refused(f"diffusers cannot split {name}; {REMEDY}")
    heads = denoiser.config.get("num_attention_heads")
    if heads is not None and not _can_share(heads, size):
        raise _refused(
            f"{name} has {heads} attention heads, which {size} devices cannot share: give each "
            f"replica other devices (-g, -n), or {REMEDY}"
        )


def _can_share(heads: int, size: int) -> bool:
    """Tells whether the last device has a head to work on when all others have the same number."""
    each = -(-heads // size)
    return heads > each * (size - 1)


def _take_device(meeting: Meeting) -> None:
    import torch

    found = torch.cuda.device_count()
    if found < meeting.size:
        raise _refused(f"it needs {meeting.size} devices, and {found} can be seen; {REMEDY}")
    torch.cuda.set_device(meeting.rank)


def _stay_on_this_machine() -> None:
    if sys.platform == "linux":
        for library in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", LOOPBACK)


@contextmanager
def _devices_counted() -> Iterator[None]:
    """Has torch tell of one device where there are none: diffusers divides by their number."""
    import torch

    count = torch.accelerator.device_count
    torch.accelerator.device_count = lambda: count() or 1
    try:
        yield
    finally:
        torch.accelerator.device_count = count


def _gather_by_turns() -> None:
    """Lets the ranks hold unequal parts on the CPU, where torch gathers equal ones only."""
    import torch
    from diffusers.hooks import context_parallel
    from torch import distributed

    def gather(tensor: Any, dim: int, group: Any) -> Any:
        parts = []
        for rank, size in enumerate(context_parallel.gather_size_by_comm(tensor.shape[dim], group)):
            shape = [*tensor.shape[:dim], size, *tensor.shape[dim + 1 :]]
            is_mine = rank == distributed.get_rank(group)
            part = tensor.contiguous() if is_mine else tensor.new_empty(shape)
            distributed.broadcast(part, group=group, group_src=rank)
            parts.append(part)
        return torch.cat(parts, dim=dim)

    vars(context_parallel)["_all_gather_anything"] = gather


def _refused(why: str) -> ModelUnusable:
    return ModelUnusable(f"{SETTING}: {why}")
