"""Files of weights are looked at without reading the weights."""

from pathlib import Path

import pytest

from telefuser_grpc.pipeline.weights import bytes_in_memory, fault_of, weight_files
from tests.fakes.models import write_weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    write_weights(path, shape=(3, 4))
    return path


def test_whole_file_has_no_fault(weights: Path) -> None:
    assert fault_of(weights) == ""


@pytest.mark.parametrize("kept", [0, 4, 8, 30, -1])
def test_file_that_broke_off_is_cut_short(weights: Path, kept: int) -> None:
    weights.write_bytes(weights.read_bytes()[:kept])

    assert fault_of(weights) == "is cut short"


def test_file_of_something_else_is_cut_short(weights: Path) -> None:
    weights.write_bytes(b"\x10\0\0\0\0\0\0\0" + b"not a header at all, just some text")

    assert fault_of(weights) == "is cut short"


def test_git_lfs_pointer_is_told_as_one(weights: Path) -> None:
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")

    assert "git lfs pull" in fault_of(weights)


def test_empty_pickle_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    path.touch()

    assert fault_of(path) == "is empty"


def test_floats_take_the_width_they_are_loaded_with(weights: Path) -> None:
    assert bytes_in_memory(weights, 4) == 12 * 4


def test_weights_that_are_no_floats_stay_as_they_are(weights: Path) -> None:
    write_weights(weights, shape=(12,), dtype="U8")

    assert bytes_in_memory(weights, 4) == 12


def test_pickles_count_as_16_bits_a_weight(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(bytes(20))

    assert bytes_in_memory(path, 4) == 40


def test_only_the_files_that_are_loaded_count(tmp_path: Path) -> None:
    for name in ("model.safetensors", "model.fp16.safetensors", "pytorch_model.bin", "notes.txt"):
        (tmp_path / name).touch()

    assert [path.name for path in weight_files(tmp_path)] == ["model.safetensors"]


def test_pickles_are_loaded_where_there_is_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()

    assert [path.name for path in weight_files(tmp_path)] == ["pytorch_model.bin"]
