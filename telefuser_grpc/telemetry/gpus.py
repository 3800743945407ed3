"""Finds the reader for the GPUs of this machine."""

from typing import Literal

from telefuser_grpc.telemetry.amd import amd_gpus
from telefuser_grpc.telemetry.gpu import GpuReader, no_gpus, nvidia_gpus
from telefuser_grpc.telemetry.recent_readings import RecentReadings

Platform = Literal["auto", "nvidia", "amd"]


def machine_gpus(platform: Platform = "auto", *, max_age_seconds: float = 5.0) -> GpuReader:
    """Returns a reader that opens the driver when it is first asked, and reads it so seldom."""
    return RecentReadings(lambda: _open(platform), max_age_seconds=max_age_seconds)


def _open(platform: Platform) -> GpuReader:
    if platform == "amd":
        return amd_gpus()
    reader = nvidia_gpus()
    return amd_gpus() if reader is no_gpus and platform == "auto" else reader
