"""`telefuser pipelines` lists what can be served by name."""

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Outcome
from tests.pipeline.test_catalogue import FILE

Run = Callable[..., Outcome]


def test_files_of_the_package_are_listed_with_what_they_are(run: Run) -> None:
    outcome = run("pipelines")

    assert outcome.code == 0
    line = next(each for each in outcome.stdout.splitlines() if each.startswith("moving_shapes "))
    assert "small model" in line


def test_table_is_markdown(run: Run, tmp_path: Path) -> None:
    (tmp_path / "walls.py").write_text(FILE)

    outcome = run("pipelines", str(tmp_path), "--table")

    assert outcome.stdout.startswith("| file | what |")
    assert "| `walls.py` |" in outcome.stdout
