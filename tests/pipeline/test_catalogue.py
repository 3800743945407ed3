"""What pipeline files say of themselves is told in a list and in a table."""

from pathlib import Path

import pytest

from telefuser_grpc.pipeline.catalogue import (
    as_markdown,
    pipeline_files,
    read_entry,
    summary_of,
)
from telefuser_grpc.pipeline.loader import PipelineLoadError

FILE = '''"""Paints walls: red\nones. And more.

What nobody reads.
"""
MODEL = "org/walls"
MEMORY = "1 GB"
TESTED = "by hand"
PIPELINE_CONTRACT = {
    "pipeline_name": "walls",
    "supported_tasks": ["t2i", "i2i"],
    "task_contracts": {
        "t2i": {"parameters": {"prompt": {}, "steps": {"default": 4}, "style": {}}},
        "i2i": {
            "required_inputs": ["first_image_path"],
            "optional_inputs": ["last_image_path"],
            "parameters": {"hidden": {"default": 1, "exposed": False}},
        },
    },
}


class Walls:
    pass


def get_pipeline() -> Walls:
    return Walls()
'''


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "walls.py"
    path.write_text(FILE)
    return path


def test_files_with_a_pipeline_are_listed_by_name(path: Path) -> None:
    (path.parent / "art.py").write_text(FILE)
    (path.parent / "table.py").write_text("import os\n")

    assert [each.name for each in pipeline_files(path.parent)] == ["art.py", "walls.py"]


def test_summary_is_read_without_running_the_file(path: Path) -> None:
    path.write_text('"""Paints walls."""\nraise SystemExit\n')

    assert summary_of(path) == "Paints walls"


def test_row_has_all_that_a_file_declares(path: Path) -> None:
    _, _, row = as_markdown([read_entry(path)]).splitlines()

    assert row == (
        "| `walls.py` | Paints walls: red ones. And more | `Walls` | `org/walls` "
        "| **t2i**<br>**i2i** first_image_path (last_image_path) | steps (4), style | 1 GB "
        "| by hand |"
    )


def test_model_without_a_hub_id_lies_in_the_repository(path: Path) -> None:
    path.write_text(FILE.replace('MODEL = "org/walls"', ""))

    assert "| in the repository |" in as_markdown([read_entry(path)])


def test_file_without_a_contract_is_refused(path: Path) -> None:
    path.write_text("def get_pipeline() -> object:\n    return object()\n")

    with pytest.raises(PipelineLoadError, match=r"walls\.py declares no contract"):
        read_entry(path)
