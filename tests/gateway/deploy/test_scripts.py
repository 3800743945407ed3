"""The start scripts, as the images and people call them."""

import re
import subprocess
from datetime import date
from pathlib import Path

import pytest

from tests.gateway.deploy.conftest import FOLDER
from tests.gateway.deploy.dockerfile import Stage
from tests.gateway.deploy.processes import environment, free_ports, started
from tests.gateway.deploy.test_compose import PIPELINE, REQUEST, client

SCRIPTS = sorted(FOLDER.glob("*.sh"))
LOADED = "pipeline is loaded"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as `/app` is in the image: the scripts, and nothing else."""
    for script in SCRIPTS:
        (tmp_path / script.name).write_bytes(script.read_bytes())
    return tmp_path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_sound(script: Path) -> None:
    text = script.read_text()

    subprocess.run(["bash", "-n", str(script)], check=True, timeout=60)
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert "set -euo pipefail" in text
    assert re.search(r"^exec ", text, re.MULTILINE), "signals must reach the service"


def test_api_is_served_on_port_8000_unless_told_otherwise() -> None:
    text = (FOLDER / "start_api.sh").read_text()

    assert 'TELEFUSER_PORT="${TELEFUSER_PORT:-8000}"' in text
    assert 'TELEFUSER_UI_PORT="${TELEFUSER_UI_PORT:-7860}"' in (FOLDER / "start_app.sh").read_text()


def test_start_api_serves_and_keeps_results_and_logs_where_it_was_started(folder: Path) -> None:
    (port,) = free_ports(1)
    command = ["bash", "start_api.sh", "--skip-validation", str(PIPELINE)]
    with started(command, {"TELEFUSER_PORT": str(port)}, folder) as log, client(port) as http:
        log.wait_for(LOADED)
        health = http.get("/health").json()
        docs = http.get("/docs")
        made = http.post("/generate", json=REQUEST).json()
        home = http.get("/")

    lines = (folder / f"logs/app_{date.today():%Y%m%d}.log").read_text()
    assert health["status"] == "healthy"
    assert docs.headers["content-type"].startswith("text/html")
    assert (folder / "outputs/tasks" / made["task_id"]).is_dir()
    assert '"event": "video_generation_start"' in lines
    assert home.status_code == 404, "the page is the other script's"


def test_start_app_serves_the_page_on_a_port_of_its_own(folder: Path) -> None:
    port, ui_port = free_ports(2)
    variables = {"TELEFUSER_PORT": str(port), "TELEFUSER_UI_PORT": str(ui_port)}
    command = ["bash", "start_app.sh", "--skip-validation", str(PIPELINE)]
    with started(command, variables, folder) as log, client(ui_port) as people:
        log.wait_for(LOADED)
        page = people.get("/", follow_redirects=True)
        made = people.post("/v1/generate", json=REQUEST)
        with client(port) as http:
            health = http.get("/health")

    assert "<title>Image to video</title>" in page.text
    assert (made.status_code, health.status_code) == (200, 200)


def test_healthcheck_of_the_image_knows_life_from_death(
    folder: Path, stages: dict[str, Stage]
) -> None:
    (port,) = free_ports(1)
    asked = [each.replace("8000", str(port)) for each in stages["cpu"].command("HEALTHCHECK")]
    command = ["bash", "start_api.sh", "--skip-validation", str(PIPELINE)]
    with started(command, {"TELEFUSER_PORT": str(port)}, folder) as log:
        log.wait_for(LOADED)
        alive = subprocess.run(asked, env=environment({}), capture_output=True, timeout=60)
    dead = subprocess.run(asked, env=environment({}), capture_output=True, timeout=60, check=False)

    assert alive.returncode == 0
    assert dead.returncode != 0


def test_taken_port_ends_the_script_with_a_reason(folder: Path) -> None:
    (port,) = free_ports(1)
    command = ["bash", "start_api.sh", "--skip-validation", str(PIPELINE)]
    with started(command, {"TELEFUSER_PORT": str(port)}, folder) as log:
        log.wait_for(LOADED)
        second = subprocess.run(
            command,
            cwd=folder,
            env=environment({"TELEFUSER_PORT": str(port), "TELEFUSER_CACHE_DIR": "others"}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert second.returncode == 1
    assert f"{port}" in second.stderr
