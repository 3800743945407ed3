"""A file that a pipeline returns is taken only if the run has written it."""

import textwrap
from pathlib import Path

import pytest

from telefuser_grpc.domain.job import Job
from telefuser_grpc.errors import OutputInvalid
from telefuser_grpc.pipeline.encode import encode
from telefuser_grpc.pipeline.loader import load
from telefuser_grpc.pipeline.runner import render
from tests.fakes import media_files
from tests.fakes.pipelines import Watcher, make_job, write_file

HEAD = """
from pathlib import Path
def get_pipeline(parallelism=1): return None
def run_with_file(pipeline, output_path):
"""


def run(folder: Path, body: str) -> tuple[Job, str]:
    """Runs a body that may use `output_path`; returns the job and the file that came of it."""
    source = HEAD + textwrap.indent(body, "    ")
    loaded = load(write_file(folder, source), task="t2v", parallelism=1)
    scratch = folder / "scratch"
    scratch.mkdir()
    job = make_job(scratch)
    try:
        rendering = render(loaded, job, Watcher().context)
        (file,) = encode(rendering, job)
    finally:
        loaded.close()
    return job, file.path


def test_a_file_that_was_there_before_the_run_is_no_result_of_it(tmp_path: Path) -> None:
    with pytest.raises(OutputInvalid, match="which it did not write for this task") as refusal:
        run(tmp_path, f"return {pytest.__file__!r}")

    assert str(Path(pytest.__file__).parent) not in refusal.value.message


def test_a_link_to_a_file_that_was_there_before_the_run_is_no_result_of_it(tmp_path: Path) -> None:
    with pytest.raises(OutputInvalid, match="which it did not write for this task"):
        run(tmp_path, f"Path(output_path).symlink_to({pytest.__file__!r})\nreturn output_path")


def test_a_file_that_the_run_wrote_elsewhere_is_copied_to_its_own_folder(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.mp4"

    job, path = run(
        tmp_path,
        f"Path({str(elsewhere)!r}).write_bytes({media_files.mp4()!r})\nreturn {str(elsewhere)!r}",
    )

    assert Path(path).parent == Path(job.output_folder)
    assert elsewhere.exists()
