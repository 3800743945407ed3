"""Which driver is asked for the GPUs of a machine."""

from collections.abc import Sequence

import pytest

from telefuser_grpc.telemetry import gpus
from telefuser_grpc.telemetry.gpu import GpuReading, no_gpus
from telefuser_grpc.telemetry.gpus import Platform, machine_gpus

NVIDIA, AMD = (GpuReading(index=0, memory_used_bytes=used) for used in (1, 2))


@pytest.mark.parametrize(
    ("platform", "has_nvidia", "read"),
    [
        ("auto", True, [NVIDIA]),
        ("auto", False, [AMD]),
        ("nvidia", True, [NVIDIA]),
        ("nvidia", False, []),
        ("amd", True, [AMD]),
    ],
)
def test_platform_names_the_driver_and_auto_takes_what_is_there(
    platform: Platform,
    has_nvidia: bool,
    read: Sequence[GpuReading],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpus, "nvidia_gpus", lambda: (lambda: [NVIDIA]) if has_nvidia else no_gpus)
    monkeypatch.setattr(gpus, "amd_gpus", lambda: lambda: [AMD])

    assert list(machine_gpus(platform)()) == read


def test_nothing_is_opened_before_the_first_question(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(gpus, "nvidia_gpus", lambda: opened.append(True) or no_gpus)

    reader = machine_gpus("nvidia")
    before = list(opened)
    reader()

    assert (before, opened) == ([], [True])
