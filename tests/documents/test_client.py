"""The Python client: every documented program as it is written."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.pipeline.probe import OUTPUT_LIMITS, probe
from tests.documents.samples import on, sample
from tests.documents.serving import Served
from tests.documents.shell import environment
from tests.fakes.media_files import mp4, still

FAST = 0.05
CONNECT = re.search(r"from .*\n\nclient = .*\n", sample("client-video"))
Names = dict[str, Any]
Execute = Callable[[str], Names]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files that programs read."""
    (tmp_path / "input.jpg").write_bytes(still("JPEG", width=40, height=30))
    (tmp_path / "input.mp4").write_bytes(mp4())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def execute(service: Served, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Execute]:
    """Executes a program and then others, all with the names of those before."""
    names: Names = {}
    pause = time.sleep
    monkeypatch.setattr(time, "sleep", lambda _: pause(FAST))

    def execute(source: str) -> Names:
        exec(compile(on(service.target, source), "sample", "exec"), names)
        return names

    yield execute
    names["client"].close()


@pytest.fixture
def connected(execute: Execute) -> Execute:
    """Executes programs that have a client."""
    assert CONNECT is not None
    execute(CONNECT[0])
    return execute


def test_basic_program_makes_and_downloads_a_video(service: Served, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", on(service.target, sample("client-video"))],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"任务创建: task_\w+\n", done.stdout)
    assert probe(folder / "output.mp4", limits=OUTPUT_LIMITS).frame_count == 4


@pytest.mark.parametrize(
    ("name", "task", "ending"),
    [("client-i2v", "i2v", "mp4"), ("client-t2i", "t2i", "png"), ("client-i2i", "i2i", "jpg")],
)
def test_program_of_a_kind_creates_its_task(
    connected: Execute, name: str, task: str, ending: str
) -> None:
    made = connected(sample(name))
    status = made["client"].wait_for_completion(made["task"]["task_id"])

    assert (status["status"], status["task"]) == ("completed", task)
    assert status["output_path"].endswith(f".{ending}")


def test_longer_wait_returns_the_completed_task(connected: Execute) -> None:
    connected('task_id = client.create_t2v_task(prompt="p")["task_id"]')

    names = connected("status = " + sample("longer-wait"))

    assert names["status"]["status"] == "completed"


def test_batch_makes_all_of_its_images(execute: Execute) -> None:
    names = execute(sample("batch"))

    assert [each["status"] for each in names["results"]] == ["completed"] * 3
    assert [each["prompt"] for each in names["results"]] == names["prompts"]


METHODS = {
    "create_t2v_task": 'client.create_t2v_task("p")',
    "create_i2v_task": 'client.create_i2v_task("p", "input.jpg")',
    "create_fl2v_task": 'client.create_fl2v_task("p", "input.jpg", "input.jpg")',
    "create_vc_task": 'client.create_vc_task("p", "input.jpg", "input.mp4")',
    "create_t2i_task": 'client.create_t2i_task("p")',
    "create_i2i_task": 'client.create_i2i_task("p", "input.jpg")',
}


@pytest.mark.parametrize(("method", "call"), METHODS.items())
def test_method_of_the_table_makes_its_task(
    connected: Execute, folder: Path, method: str, call: str
) -> None:
    names = connected(
        f"""
task_id = {call}["task_id"]
waited = client.wait_for_completion(task_id)
status = client.get_task_status(task_id)
is_there = client.download_result(task_id, "result")
"""
    )

    assert names["waited"]["status"] == names["status"]["status"] == "completed"
    assert f"create_{names['status']['task']}_task" == method
    assert names["is_there"] is True
    assert (folder / "result").stat().st_size > 0
