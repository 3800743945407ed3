"""The pipeline files that come with the package are found by their names."""

from pathlib import Path

import pytest

from telefuser_grpc.config import pipelines_folder, served_file
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
