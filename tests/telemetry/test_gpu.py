"""GPUs through a driver's library that the machine of the tests does not have."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from telefuser_grpc.telemetry.gpu import GpuReading, NvidiaGpus, no_gpus, nvidia_gpus


class NVMLError(Exception):
    """What the library raises."""


class FakeNvml:
    """The part of `pynvml` that is used, with two GPUs; `broken` names questions that fail."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, *, broken: tuple[str, ...] = ()) -> None:
        self._broken = broken

    def nvmlInit(self) -> None:
        self._answer("init")

    def nvmlDeviceGetCount(self) -> int:
        self._answer("count")
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, gpu: int) -> Any:
        self._answer("memory")
        return SimpleNamespace(used=gpu * 1000, total=24_000)

    def nvmlDeviceGetUtilizationRates(self, gpu: int) -> Any:
        self._answer("utilization")
        return SimpleNamespace(gpu=50, memory=10)

    def nvmlDeviceGetTemperature(self, gpu: int, sensor: int) -> int:
        self._answer("temperature")
        return 60 + gpu

    def _answer(self, question: str) -> None:
        if question in self._broken:
            raise NVMLError(question)


def test_every_gpu_is_read_with_all_its_measures() -> None:
    readings = NvidiaGpus(FakeNvml())()

    assert readings == [
        GpuReading(
            index=index,
            memory_used_bytes=index * 1000,
            memory_total_bytes=24_000,
            utilization_ratio=0.5,
            temperature_celsius=60 + index,
        )
        for index in (0, 1)
    ]


def test_question_that_a_gpu_refuses_leaves_the_other_measures() -> None:
    readings = NvidiaGpus(FakeNvml(broken=("utilization",)))()

    assert readings[1].utilization_ratio is None
    assert readings[1].memory_used_bytes == 1000


def test_driver_that_fails_later_reads_as_no_gpus() -> None:
    assert list(NvidiaGpus(FakeNvml(broken=("count",)))()) == []


def test_library_is_found_when_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())

    reader = nvidia_gpus()

    assert len(reader()) == 2


@pytest.mark.parametrize("library", [None, FakeNvml(broken=("init",))])
def test_without_library_or_driver_there_are_no_gpus(
    library: FakeNvml | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library)

    assert nvidia_gpus() is no_gpus


@pytest.mark.parametrize(
    ("library", "remedy"),
    [(None, "install nvidia-ml-py"), (FakeNvml(broken=("init",)), "init")],
)
def test_driver_that_cannot_be_asked_is_worth_a_warning(
    library: FakeNvml | None, remedy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library)
    driver = tmp_path / "version"
    driver.touch()

    with capture_logs() as logs:
        nvidia_gpus(driver)

    assert [(line["log_level"], line["cause"]) for line in logs] == [("warning", remedy)]
