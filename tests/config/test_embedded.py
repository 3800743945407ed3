"""The pipeline files that come with the package are found by their names."""

from pathlib import Path

import pytest

from telefuser_grpc.config import not_found, pipelines_folder, served_file
from telefuser_grpc.config.embedded import EXAMPLES


def test_embedded_pipeline_is_meant_when_none_is_named() -> None:
    assert "def get_pipeline" in served_file(None).read_text()


@pytest.mark.parametrize("name", ["moving_shapes", "moving_shapes.py"])
def test_file_of_the_package_is_found_by_its_name(name: str) -> None:
    assert served_file(Path(name)) == pipelines_folder() / "moving_shapes.py"


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_of_the_documents_has_a_file_here(example: str) -> None:
    found = served_file(Path(f"./examples/some_family/{example}.py"))

    assert found.is_file()
    assert found.parent == pipelines_folder()


def test_file_that_is_there_goes_first(tmp_path: Path) -> None:
    own = tmp_path / "moving_shapes.py"
    own.touch()

    assert served_file(own) == own


def test_unknown_file_is_left_as_it_was_named() -> None:
    assert served_file(Path("mine/unknown.py")) == Path("mine/unknown.py")


@pytest.mark.parametrize(
    ("example", "nearest"),
    [
        ("examples/liveact/liveact_s2v_h100.py", "wan22_animate_14b"),
        ("LongCat_Video.py", "skyreels_v2"),
        ("examples/flashvsr/vsr.py", "kandinsky6_sr_vsr"),
    ],
)
def test_family_that_diffusers_lacks_is_told_with_the_nearest(example: str, nearest: str) -> None:
    text = not_found(Path(example))

    assert text.startswith(f"pipeline file {example!r} does not exist: diffusers has no class")
    assert nearest in text
    assert served_file(Path(nearest)).is_file()
    assert not served_file(Path(example)).is_file(), "another model under its name would pretend"


@pytest.mark.parametrize("path", ["mine/unknown.py", "images2video.py"])
def test_other_file_that_is_not_there_is_only_that(path: str) -> None:
    text = not_found(Path(path))

    assert text == f"pipeline file {path!r} does not exist; name a Python file"
