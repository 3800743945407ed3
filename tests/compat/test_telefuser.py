"""Programs and pipeline files written for TeleFuser find their imports."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from telefuser_grpc import client, compat
from telefuser_grpc.client import openai, tf_client
from telefuser_grpc.pipeline import templates
from tests.fakes.service import Service

PATHS = Path(compat.__file__).parent
ERRORS = ("TaskCreation", "TaskFailed", "TaskTimeout", "TeleFuser")
PIPELINE = Path(__file__).parent / "documented_pipeline.py"

VIDEO = """
from telefuser.client import TFClient

client = TFClient(base_url="ADDRESS")

# 创建视频任务
task = client.create_t2v_task(
    prompt="宇航员在月球上行走",
    resolution="720p",
    seed=42
)

print(f"任务创建: {task['task_id']}")

# 等待完成
if client.wait_for_completion(task['task_id']):
    client.download_result(task['task_id'], "./output.mp4")
"""

BATCH = """
from telefuser.client import TFClient
import concurrent.futures

client = TFClient(base_url="ADDRESS")

prompts = ["提示 1", "提示 2", "提示 3"]

def generate(prompt):
    task = client.create_t2i_task(prompt=prompt, resolution="1024x1024")
    return client.wait_for_completion(task['task_id'])

with concurrent.futures.ThreadPoolExecutor(max_workers=3) as executor:
    results = list(executor.map(generate, prompts))

print([result["status"] for result in results])
"""

IMAGE_TO_VIDEO = """
from telefuser.client import TFClient

client = TFClient(base_url="ADDRESS")
task = client.create_i2v_task(
    prompt="宇航员行走",
    first_image_path="input.jpg",
    resolution="720p"
)
print(client.wait_for_completion(task['task_id'], timeout=600)["status"])
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(PIPELINE, tmp_path_factory.mktemp("compat")) as service:
        yield service


def run(program: str, folder: Path, service: Service) -> str:
    source = program.replace("ADDRESS", f"http://{service.target}")
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=folder,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_documented_video_program_runs_unchanged(service: Service, tmp_path: Path) -> None:
    told = run(VIDEO, tmp_path, service)

    assert told.startswith("任务创建: task_")
    assert b"ftyp" in (tmp_path / "output.mp4").read_bytes()[:16]


def test_documented_batch_program_runs_unchanged(service: Service, tmp_path: Path) -> None:
    assert run(BATCH, tmp_path, service) == "['completed', 'completed', 'completed']\n"


def test_documented_image_to_video_program_runs_unchanged(service: Service, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (32, 24), "navy").save(tmp_path / "input.jpg")

    assert run(IMAGE_TO_VIDEO, tmp_path, service) == "completed\n"


def test_pipeline_file_finds_the_contract_templates(service: Service) -> None:
    with service.client() as native:
        contract = native.metadata().contract

    assert "telefuser_grpc" not in PIPELINE.read_text()
    assert contract.tasks["i2v"].required_inputs == ("first_image_path",)
    assert list(contract.tasks["t2i"].parameters)[:2] == ["prompt", "negative_prompt"]


@pytest.mark.parametrize(
    ("name", "ours", "exports"),
    [
        (
            "telefuser.client",
            client,
            ["TFClient", *(f"{each}Error" for each in ERRORS)],
        ),
        ("telefuser.client.tf_client", tf_client, tf_client.__all__),
        ("telefuser.client.openai", openai, openai.__all__),
        (
            "telefuser.service.core.contract_templates",
            templates,
            ["build_pipeline_manifest", "build_task_contract_template"],
        ),
    ],
)
def test_documented_import_path_is_ours(name: str, ours: object, exports: list[str]) -> None:
    module = importlib.import_module(name)

    assert Path(str(module.__file__)).is_relative_to(PATHS)
    assert all(getattr(module, each) is getattr(ours, each) for each in exports)


def test_what_was_never_promised_is_not_there() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'telefuser\.pipelines'"):
        importlib.import_module("telefuser.pipelines")


def test_templates_bring_no_client_into_a_replica() -> None:
    code = (
        "import sys, telefuser.service.core.contract_templates;"
        "sys.exit(bool({'grpc', 'requests', 'telefuser_grpc.client'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
