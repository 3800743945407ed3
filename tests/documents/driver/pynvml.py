"""Stands in for NVIDIA's driver: one GPU that holds 8 GiB and is half busy."""

from types import SimpleNamespace
from typing import Any

NVML_TEMPERATURE_GPU = 0


class NVMLError(Exception):
    """What the driver raises."""


def nvmlInit() -> None:
    pass


def nvmlDeviceGetCount() -> int:
    return 1


def nvmlDeviceGetHandleByIndex(index: int) -> int:
    return index


def nvmlDeviceGetMemoryInfo(gpu: int) -> Any:
    return SimpleNamespace(used=8 * 2**30, total=24 * 2**30)


def nvmlDeviceGetUtilizationRates(gpu: int) -> Any:
    return SimpleNamespace(gpu=50)


def nvmlDeviceGetTemperature(gpu: int, sensor: int) -> int:
    return 60
