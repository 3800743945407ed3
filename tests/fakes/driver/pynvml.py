"""Stands for NVIDIA's library in a service's process: one GPU. Its folder goes onto PYTHONPATH."""

from types import SimpleNamespace

NVML_TEMPERATURE_GPU = 0


class NVMLError(Exception):
    """What the library raises."""


def nvmlInit() -> None:
    """Finds a driver."""


def nvmlDeviceGetCount() -> int:
    return 1


def nvmlDeviceGetHandleByIndex(index: int) -> int:
    return index


def nvmlDeviceGetMemoryInfo(gpu: int) -> SimpleNamespace:
    return SimpleNamespace(used=8 * 2**30, total=24 * 2**30)


def nvmlDeviceGetUtilizationRates(gpu: int) -> SimpleNamespace:
    return SimpleNamespace(gpu=75, memory=10)


def nvmlDeviceGetTemperature(gpu: int, sensor: int) -> int:
    return 61
