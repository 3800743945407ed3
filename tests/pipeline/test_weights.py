"""Files of weights are looked at without reading the weights."""

import zipfile
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


@pytest.mark.parametrize("kept", [4, 8, 30, -1])
def test_file_that_broke_off_is_cut_short(weights: Path, kept: int) -> None:
    weights.write_bytes(weights.read_bytes()[:kept])

    assert fault_of(weights) == "is cut short"


@pytest.mark.parametrize(
    "header", [b"not a header at all, just some text", b"[]", b'{"weight": 1}', b'{"weight": {}}']
)
def test_file_of_something_else_is_cut_short(weights: Path, header: bytes) -> None:
    weights.write_bytes(len(header).to_bytes(8, "little") + header)

    assert fault_of(weights) == "is cut short"


def test_git_lfs_pointer_is_told_as_one(weights: Path) -> None:
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")

    assert "git lfs pull" in fault_of(weights)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "config.json"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("\n<!DOCTYPE html><html>404</html>", "is a web page, not the file"),
        ("<html>", "is a web page, not the file"),
    ],
)
def test_file_of_nothing_or_of_a_web_page_is_told(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    path = tmp_path / name
    path.write_text(text)

    assert fault_of(path) == told


def test_pickle_that_broke_off_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", bytes(100))
    whole = path.read_bytes()
    assert fault_of(path) == ""

    path.write_bytes(whole[:100])

    assert fault_of(path) == "is cut short"


def test_configuration_that_broke_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"num_layers": 3')

    assert fault_of(path) == "is no JSON"


def test_link_to_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.symlink_to(tmp_path / "blobs" / "abc")

    assert fault_of(path) == "is missing"


def test_file_that_nobody_may_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.symlink_to(path)

    assert fault_of(path) == "cannot be read: Too many levels of symbolic links"


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
