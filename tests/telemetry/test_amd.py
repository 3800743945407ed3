"""GPUs of AMD through a copy of the kernel's files."""

from pathlib import Path

import pytest

from telefuser_grpc.telemetry.amd import amd_gpus
from telefuser_grpc.telemetry.gpu import GpuReading, no_gpus

FILES = {
    "vendor": "0x1002",
    "mem_info_vram_used": "1000",
    "mem_info_vram_total": "24000",
    "gpu_busy_percent": "50",
    "hwmon/hwmon3/temp1_input": "61500",
}


def make_card(cards: Path, name: str, **files: str) -> Path:
    device = cards / name / "device"
    for file, text in (FILES | files).items():
        (device / file).parent.mkdir(parents=True, exist_ok=True)
        (device / file).write_text(f"{text}\n")
    return device


def test_every_card_is_read_with_all_its_measures_in_the_order_of_the_kernel(
    tmp_path: Path,
) -> None:
    make_card(tmp_path, "card10", mem_info_vram_used="2000")
    make_card(tmp_path, "card2")

    readings = amd_gpus(tmp_path)()

    assert readings == [
        GpuReading(
            index=index,
            memory_used_bytes=used,
            memory_total_bytes=24_000,
            utilization_ratio=0.5,
            temperature_celsius=61.5,
        )
        for index, used in enumerate((1000, 2000))
    ]


def test_file_that_is_missing_or_odd_leaves_the_other_measures(tmp_path: Path) -> None:
    device = make_card(tmp_path, "card0", gpu_busy_percent="busy")
    (device / "hwmon/hwmon3/temp1_input").unlink()

    (reading,) = amd_gpus(tmp_path)()

    assert reading == GpuReading(index=0, memory_used_bytes=1000, memory_total_bytes=24_000)


@pytest.mark.parametrize("name", ["card0", "card0-HDMI-A-1", "renderD128"])
def test_other_makers_and_other_devices_are_no_gpus(name: str, tmp_path: Path) -> None:
    make_card(tmp_path, name, vendor="0x8086" if name == "card0" else "0x1002")

    assert amd_gpus(tmp_path) is no_gpus
    assert amd_gpus(tmp_path / "missing") is no_gpus
