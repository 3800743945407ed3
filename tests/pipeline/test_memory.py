"""A model that cannot fit is refused before it is read, with what to set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.pipeline import memory
from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.memory import check_memory, out_of_memory
from telefuser_grpc.pipeline.options import ModelOptions
from tests.fakes.models import write_model, write_weights

pytest.importorskip("diffusers")

GB = 10**9
PART_WEIGHTS = 2 * GB
IN_16_BITS = {"default": 2}

Machine = Callable[..., None]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three parts of two thousand million weights each, of which no byte is on disk."""
    monkeypatch.setattr(memory, "bytes_in_memory", lambda _, width: PART_WEIGHTS * width)
    return write_model(tmp_path / "wan")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    def build(*, main: float, devices: tuple[float, ...] = ()) -> None:
        monkeypatch.setattr(memory, "device", lambda: "cuda" if devices else "cpu")
        monkeypatch.setattr(memory, "free_bytes", lambda: main * GB)
        monkeypatch.setattr(memory, "free_device_bytes", lambda count: sum(devices[:count]) * GB)

    return build


def check(model: Path, *, parallelism: int = 1, **options: Any) -> None:
    check_memory(model, ModelOptions(**options), parallelism=parallelism, widths=IN_16_BITS)


def refusal(model: Path, **options: Any) -> str:
    with pytest.raises(ModelUnusable, match="does not fit into the free memory") as refused:
        check(model, **options)
    return str(refused.value)


def test_model_that_fits_is_good(model: Path, machine: Machine) -> None:
    machine(main=12)

    check(model)


def test_model_that_does_not_fit_is_told_with_its_size(model: Path, machine: Machine) -> None:
    machine(main=11.5)

    told = refusal(model)

    assert "weights take 12.0 GB, and 11.5 GB of main memory are free" in told
    assert "set TELEFUSER_DTYPE=bfloat16, or run fewer replicas (-n)" in told


def test_what_is_set_already_is_no_remedy(model: Path, machine: Machine) -> None:
    machine(main=1)

    assert "TELEFUSER_DTYPE" not in refusal(model, dtype="bfloat16")


def test_parts_of_full_precision_take_more(model: Path, machine: Machine) -> None:
    machine(main=15)

    with pytest.raises(ModelUnusable, match=r"take 16\.0 GB"):
        check_memory(model, ModelOptions(), parallelism=1, widths={"default": 2, "vae": 4})


def test_quantised_denoisers_take_less(model: Path, machine: Machine) -> None:
    machine(main=64, devices=(9.5,))

    check(model, quantization="int4")
    assert "take 10.0 GB" in refusal(model, quantization="int8")


def test_device_must_hold_what_is_not_offloaded(model: Path, machine: Machine) -> None:
    machine(main=64, devices=(8,))

    told = refusal(model)

    assert "8.0 GB of device memory are free" in told
    assert "TELEFUSER_OFFLOAD=model, or set TELEFUSER_QUANTIZATION=int8" in told
    assert "(-g)" in told


def test_devices_of_a_replica_share_the_model(model: Path, machine: Machine) -> None:
    machine(main=64, devices=(8, 8))

    check(model, parallelism=2)


def test_device_must_hold_the_largest_part_of_an_offloaded_model(
    model: Path, machine: Machine
) -> None:
    machine(main=64, devices=(3,))

    assert "set TELEFUSER_OFFLOAD=group" in refusal(model, offload="model")
    check(model, offload="group")
    check(model, offload="sequential")


@pytest.mark.parametrize("offload", ["model", "group", "sequential"])
def test_offloaded_model_must_fit_into_main_memory(
    model: Path, machine: Machine, offload: str
) -> None:
    machine(main=11, devices=(80,))

    assert "11.0 GB of main memory are free" in refusal(model, offload=offload)


def test_model_that_ran_out_of_memory_is_told_the_same_remedy(machine: Machine) -> None:
    machine(main=64, devices=(8,))

    assert "TELEFUSER_OFFLOAD=model" in str(out_of_memory(ModelOptions()))


def test_weights_on_disk_are_counted(tmp_path: Path, machine: Machine) -> None:
    machine(main=0)
    model = write_model(tmp_path / "wan")
    write_weights(model / "vae" / "diffusion_pytorch_model.safetensors", shape=(10_000, 3_000))

    assert "take 0.1 GB" in refusal(model)


def test_memory_of_this_machine_is_known() -> None:
    assert 0 < memory.free_bytes() < 2**50


def test_limit_of_a_container_counts_without_what_is_only_cached(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 200\n")

    assert memory.room_of_container(tmp_path) == 500


def test_container_without_a_limit_is_as_large_as_its_machine(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")

    assert memory.room_of_container(tmp_path) == memory.room_of_container(tmp_path / "none")
    assert memory.room_of_container(tmp_path) >= 2**60


def test_ranks_of_one_machine_hold_a_copy_each(model: Path, machine: Machine) -> None:
    machine(main=20)

    check(model, parallelism=2)
    with pytest.raises(ModelUnusable, match=r"24\.0 GB, and 20\.0 GB of main memory"):
        check(model, parallelism=2, parallel="context")


def test_every_rank_holds_the_whole_model_on_its_device(
    model: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(main=99, devices=(99, 11.5))
    monkeypatch.setattr(memory, "free_bytes_here", lambda: 11.5 * GB)

    check(model, parallelism=2)
    with pytest.raises(ModelUnusable, match=r"device memory.*TELEFUSER_PARALLEL=spread"):
        check(model, parallelism=2, parallel="context")
