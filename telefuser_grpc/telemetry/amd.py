"""Reads what AMD's driver tells of each GPU, from files of the kernel."""

from collections.abc import Sequence
from pathlib import Path

from telefuser_grpc.telemetry.gpu import GpuReader, GpuReading, no_gpus

CARDS = Path("/sys/class/drm")
VENDOR = "0x1002"


def amd_gpus(cards: Path = CARDS) -> GpuReader:
    """Returns a reader of the machine's GPUs, or `no_gpus` where there is none."""
    numbers = sorted(int(card.name[4:]) for card in cards.glob("card*") if card.name[4:].isdigit())
    devices = [cards / f"card{number}" / "device" for number in numbers]
    gpus = [device for device in devices if _is_gpu(device)]
    return AmdGpus(gpus) if gpus else no_gpus


class AmdGpus:
    """Reads GPUs from their folders, numbered in the order of the kernel's cards."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    def __call__(self) -> Sequence[GpuReading]:
        return [_read(index, folder) for index, folder in enumerate(self._folders)]


def _read(index: int, folder: Path) -> GpuReading:
    percent = _integer(folder / "gpu_busy_percent")
    temperatures = map(_integer, sorted(folder.glob("hwmon/hwmon*/temp1_input")))
    thousandths = next(temperatures, None)
    return GpuReading(
        index=index,
        memory_used_bytes=_integer(folder / "mem_info_vram_used"),
        memory_total_bytes=_integer(folder / "mem_info_vram_total"),
        utilization_ratio=None if percent is None else percent / 100,
        temperature_celsius=None if thousandths is None else thousandths / 1000,
    )


def _is_gpu(device: Path) -> bool:
    return _text(device / "vendor") == VENDOR and (device / "mem_info_vram_total").exists()


def _integer(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text.isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:  # the file of a driver that knows less, or of a card that sleeps
        return ""
