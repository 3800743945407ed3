"""What `pipelines/README.md` shows is so."""

import re
import threading
from pathlib import Path

import pytest

from telefuser_grpc.domain.job import Job
from telefuser_grpc.domain.kinds import MediaType
from telefuser_grpc.domain.task import Preview, Progress
from telefuser_grpc.pipeline.catalogue import as_markdown, pipeline_files, read_entry
from telefuser_grpc.pipeline.context import RunContext
from telefuser_grpc.pipeline.encode import encode
from telefuser_grpc.pipeline.loader import load
from telefuser_grpc.pipeline.runner import render
from tests.fakes.service import ROOT

FOLDER = ROOT / "pipelines"
README = (FOLDER / "README.md").read_text()


def test_table_is_what_the_files_declare() -> None:
    pytest.importorskip("diffusers")
    (table,) = re.findall(r"<!-- table -->\n(.*)<!-- end of table -->", README, re.DOTALL)

    assert table == as_markdown(map(read_entry, pipeline_files(FOLDER))), "run `make table`"


def test_every_file_is_served_in_a_test() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    tests += (ROOT / "tests/end_to_end/test_moving_shapes.py").read_text()

    assert [path.stem for path in pipeline_files(FOLDER) if path.stem not in tests] == []


def test_file_written_by_hand_makes_a_picture(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "wall.py"
    file.write_text(code)
    told: list[Progress | Preview] = []
    job = Job(
        task_id="a",
        attempt=1,
        kind="t2i",
        media_type=MediaType.IMAGE,
        fields={"prompt": "red", "width": 16, "steps": 2, "seed": 1},
        inputs={},
        output_folder=str(tmp_path),
        output_name="wall.png",
    )
    context = RunContext(
        report=told.append, cancelled=threading.Event(), preview_interval_seconds=0
    )
    loaded = load(file, task=None, parallelism=1)

    (output,) = encode(render(loaded, job, context), job)

    loaded.close()
    assert (output.facts.width, output.facts.height) == (16, 16)
    assert [each.step for each in told if isinstance(each, Progress)] == [1, 2]
    assert any(isinstance(each, Preview) for each in told)
