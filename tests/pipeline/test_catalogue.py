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
LONG = "matt, dry, and not too thick"
SHARED = {"prompt": {}, "seed": {"default": 42}, "finish": {"default": LONG}}
PIPELINE_CONTRACT = {
    "pipeline_name": "walls",
    "supported_tasks": ["t2i", "i2i"],
    "task_contracts": {
        "t2i": {
            "parameters": {**SHARED, "steps": {"default": 4}, "style": {}},
            "batch": {"keys": ["steps"], "max_size": 8},
        },
        "i2i": {
            "required_inputs": ["first_image_path"],
            "optional_inputs": ["last_image_path"],
            "parameters": {
                **SHARED, "steps": {"default": 2}, "hidden": {"default": 1, "exposed": False}
            },
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
        "| **t2i** ×8<br>**i2i** first_image_path (last_image_path) "
        "| seed (42), finish (…), steps (4, i2i 2), style (t2i only) | 1 GB | by hand |"
    )


def test_class_that_only_holds_others_is_told_by_them(path: Path) -> None:
    held = "@dataclasses.dataclass\nclass Walls:\n    brick: Brick\n    wood: Wood\n"
    path.write_text(
        FILE.replace("MODEL =", "import dataclasses\nMODEL =").replace(
            "class Walls:\n    pass\n", f"class Brick: ...\nclass Wood: ...\n{held}"
        )
    )

    assert "| `Brick`<br>`Wood` |" in as_markdown([read_entry(path)])


def test_model_without_a_hub_id_lies_in_the_repository(path: Path) -> None:
    path.write_text(FILE.replace('MODEL = "org/walls"', ""))

    assert "| in the repository |" in as_markdown([read_entry(path)])


def test_file_without_a_contract_is_refused(path: Path) -> None:
    path.write_text("def get_pipeline() -> object:\n    return object()\n")

    with pytest.raises(PipelineLoadError, match=r"walls\.py declares no contract"):
        read_entry(path)
