"""Quick start: install, serve, create a task."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.documents.samples import sample
from tests.documents.serving import Served, finish, lay_out_stream
from tests.documents.shell import Outcome
from tests.fakes.service import ROOT, clean_environment

HATCHLING = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
PIP = [sys.executable, "-m", "pip"]
IMPORTS = "import telefuser.client, telefuser.client.openai, telefuser_grpc; "


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the package index would hold."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [*HATCHLING, "--directory", str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    (path,) = folder.glob("*.whl")
    return path


def test_installed_package_brings_the_documented_command_and_import_paths(
    wheel: Path, tmp_path: Path
) -> None:
    command = sample("install").replace("pip install telefuser", "install --quiet --no-index")
    options = ["--no-deps", "--no-compile", "--target", str(tmp_path), str(wheel)]
    subprocess.run([*PIP, *command.split(), *options], check=True, capture_output=True)

    told = subprocess.run(
        [sys.executable, "-c", f"{IMPORTS}print(telefuser.client.__file__)"],
        env=clean_environment() | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.startswith(str(tmp_path))
    assert (tmp_path / "bin" / "telefuser").is_file()


def test_installed_package_brings_the_gateway_and_the_embedded_pipeline(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert "telefuser_grpc/_gateway/envoy.yaml" in names
    assert any(name.startswith("telefuser_grpc/_pipelines/") for name in names)


def test_both_installations_are_one() -> None:
    assert sample("client-install") == sample("install")


def test_extra_of_the_documents_brings_webrtc(wheel: Path) -> None:
    (extra,) = re.findall(r"\[(\w+)\]", sample("install-webrtc"))

    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode().splitlines()

    assert f"Provides-Extra: {extra}" in lines
    assert any(each.startswith("Requires-Dist: aiortc") and extra in each for each in lines)


def test_stream_command_serves_sessions_with_its_file(tmp_path: Path) -> None:
    with (
        Served(sample("serve-stream"), lay_out_stream(tmp_path)) as service,
        service.http() as http,
    ):
        metadata = http.get("/v1/service/metadata").json()
        unknown = http.get("/v1/stream/sessions/none/status").json()

    assert (metadata["service_type"], metadata["security_level"]) == ("stream", "NONE")
    assert metadata["pipeline_file"].removeprefix("./") in sample("serve-stream")
    assert unknown == {"session_id": "none", "status": "unknown"}


def test_video_command_serves_its_file_for_its_task(http: httpx.Client) -> None:
    metadata = http.get("/v1/service/metadata").json()

    assert metadata["pipeline_file"] in sample("serve-video")
    assert (metadata["task"], metadata["parallelism"]) == ("i2v", 1)


def test_image_command_serves_its_file_for_its_task(image_service: Served) -> None:
    with image_service.http() as http:
        metadata = http.get("/v1/service/metadata").json()

    assert metadata["pipeline_file"] in sample("serve-image")
    assert (metadata["task"], metadata["parallelism"]) == ("t2i", 1)


def test_first_request_creates_a_task_that_is_completed(
    ask: Callable[[str], Outcome], http: httpx.Client
) -> None:
    answer = ask("create-task")
    task_id = answer.json["task_id"]
    finish(http, task_id)

    status = http.get(f"/v1/tasks/{task_id}/status").json()
    assert answer.http_status == 200
    assert re.fullmatch(r"task_\w+", task_id)
    assert (status["status"], status["prompt"]) == ("completed", "宇航员在月球上行走")
    assert (status["resolution"], status["aspect_ratio"]) == ("720p", "16:9")
