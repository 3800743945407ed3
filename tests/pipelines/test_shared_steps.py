"""Families that can share every step among devices make what one device makes."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.fakes.service import ROOT, clean_environment

pytest.importorskip("diffusers")

FAMILIES = {
    "flux2_klein": ("pictures", "save_flux2_klein"),
    "qwen_image": ("qwen", "save_qwen_image"),
    "wan22_t2v_a14b": ("wan", "save_wan22_t2v"),
}
ROUNDING = 1.01 / 255
QUIET = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def differences(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    folder = tmp_path_factory.mktemp("two ranks")
    for name, (module, save) in FAMILIES.items():
        getattr(import_module(f"tests.pipelines.tiny.{module}"), save)(folder / "models" / name)
    first, second = (_start(rank, folder) for rank in range(2))
    try:
        told, _ = first.communicate()
        assert first.returncode == 0  # else the other one would wait for ever
        assert second.wait() == 0
    finally:
        second.kill()
    return dict(json.loads(told.splitlines()[-1]))


def _start(rank: int, folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.pipelines.two_ranks", str(rank)),
            *(str(folder / "meeting"), str(folder / "models")),
        ],
        cwd=ROOT,
        env=clean_environment() | QUIET,
        stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL,
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_two_devices_make_what_one_makes(differences: dict[str, float], family: str) -> None:
    assert differences[family] <= ROUNDING
