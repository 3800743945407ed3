"""Reads what NVIDIA's driver tells of each GPU."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import structlog

DRIVER = Path("/proc/driver/nvidia/version")

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReading:
    """One GPU at one moment; None where the driver cannot say."""

    index: int
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    utilization_ratio: float | None = None
    temperature_celsius: float | None = None


GpuReader = Callable[[], Sequence[GpuReading]]


def no_gpus() -> Sequence[GpuReading]:
    """Reads a machine without GPUs."""
    return ()


def nvidia_gpus(driver: Path = DRIVER) -> GpuReader:
    """Returns a reader of the machine's GPUs, or `no_gpus` without the library or a driver."""
    try:
        nvml = import_module("pynvml")
    except ImportError:
        if driver.exists():
            logger.warning("gpus are not measured", cause="install nvidia-ml-py")
        return no_gpus
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        if driver.exists():
            logger.warning("gpus are not measured", cause=str(error))
        return no_gpus
    return NvidiaGpus(nvml)


class NvidiaGpus:
    """Reads every GPU through an initialised `pynvml`."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml

    def __call__(self) -> Sequence[GpuReading]:
        with suppress(self._nvml.NVMLError):
            return [self._read(index) for index in range(self._nvml.nvmlDeviceGetCount())]
        return ()

    def _read(self, index: int) -> GpuReading:
        nvml = self._nvml
        gpu = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, gpu)
        rates = self._ask(nvml.nvmlDeviceGetUtilizationRates, gpu)
        celsius = self._ask(nvml.nvmlDeviceGetTemperature, gpu, nvml.NVML_TEMPERATURE_GPU)
        return GpuReading(
            index=index,
            memory_used_bytes=memory and memory.used,
            memory_total_bytes=memory and memory.total,
            utilization_ratio=rates and rates.gpu / 100,
            temperature_celsius=celsius,
        )

    def _ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """Asks one thing; not every model answers every question."""
        with suppress(self._nvml.NVMLError):
            return question(*arguments)
        return None
