"""Which devices each replica may see."""

from collections.abc import Callable, Mapping
from pathlib import Path

VISIBILITY_VARIABLE = "CUDA_VISIBLE_DEVICES"
DEVICE_NODES = ("nvidia[0-9]*", "kfd", "davinci[0-9]*")


class AllotmentError(ValueError):
    """The devices cannot be split as asked; the message says why."""


def has_accelerator(folder: Path = Path("/dev")) -> bool:
    """Tells whether the machine has device nodes of NVIDIA, AMD or Ascend accelerators."""
    return any(any(folder.glob(pattern)) for pattern in DEVICE_NODES)


def allot(
    *,
    parallelism: int,
    replicas: int,
    environment: Mapping[str, str],
    detect: Callable[[], bool] = has_accelerator,
) -> tuple[tuple[str, ...], ...]:
    """Splits the first `parallelism` visible devices into one contiguous group for each replica.

    The visible ones are the opaque tokens of `CUDA_VISIBLE_DEVICES`, else 0, 1 and so on. Without
    the variable, on a machine without accelerators, every group is empty: replicas use the CPU.

    Raises:
        AllotmentError
    """
    if parallelism % replicas:
        raise AllotmentError(
            f"--parallelism ({parallelism}) must be divisible by --num-replicas ({replicas})"
        )
    value = environment.get(VISIBILITY_VARIABLE, "")
    if not value.strip() and not detect():
        return ((),) * replicas
    visible = _tokens(value) or [str(index) for index in range(parallelism)]
    if parallelism > len(visible):
        raise AllotmentError(
            f"--parallelism={parallelism} but only {len(visible)} GPUs visible "
            f"({VISIBILITY_VARIABLE}={value})"
        )
    size = parallelism // replicas
    return tuple(tuple(visible[start : start + size]) for start in range(0, parallelism, size))


def _tokens(value: str) -> list[str]:
    return [token.strip() for token in value.split(",") if token.strip()]
