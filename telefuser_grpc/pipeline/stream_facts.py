"""What a loaded stream service has cost, and where it runs. Looks at torch only if it is there."""

import platform
import sys
from collections.abc import Mapping
from typing import Any

from telefuser_grpc.domain.session import DevicePeak


def device_peaks() -> tuple[DevicePeak, ...]:
    """Returns the peaks of memory so far, for each CUDA device."""
    cuda = _cuda()
    if cuda is None:
        return ()
    return tuple(
        DevicePeak(
            device=f"cuda:{number}",
            peak_allocated_bytes=cuda.max_memory_allocated(number),
            peak_reserved_bytes=cuda.max_memory_reserved(number),
        )
        for number in range(cuda.device_count())
    )


def environment() -> Mapping[str, Any]:
    """Returns versions and devices; null for what is not there or not known."""
    torch = sys.modules.get("torch")
    telefuser = sys.modules.get("telefuser")
    return {
        "python_version": platform.python_version(),
        "platform": platform.platform(),
        "torch_version": None if torch is None else str(torch.__version__),
        "cuda_version": None if torch is None else torch.version.cuda,
        "telefuser_git_commit": getattr(telefuser, "__git_commit__", None),
        "gpus": _gpus(),
    }


def _gpus() -> list[dict[str, Any]]:
    cuda = _cuda()
    return [] if cuda is None else [_gpu(cuda, number) for number in range(cuda.device_count())]


def _gpu(cuda: Any, number: int) -> dict[str, Any]:
    properties = cuda.get_device_properties(number)
    return {
        "device": f"cuda:{number}",
        "name": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "total_memory_bytes": properties.total_memory,
    }


def _cuda() -> Any:
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None
