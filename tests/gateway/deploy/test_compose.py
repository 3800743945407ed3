"""The compose file: two containers of one network namespace, and that their commands work."""

import base64
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.fakes.media_files import still
from tests.gateway.deploy.conftest import FOLDER
from tests.gateway.deploy.dockerfile import Stage
from tests.gateway.deploy.processes import environment, free_ports, started

PIPELINE = Path(__file__).parents[2] / "end_to_end/picture_pipeline.py"
IMAGE = base64.b64encode(still()).decode()
REQUEST = {"image_base64": IMAGE, "prompt": "p", "resolution": "256p", "num_frames": 8}
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


@pytest.fixture(scope="module")
def compose() -> Any:
    text = (FOLDER / "compose.yaml").read_text()
    return yaml.safe_load(VARIABLE.sub(lambda match: match[2], text))


@pytest.fixture(scope="module")
def server(compose: Any) -> Any:
    return compose["services"]["server"]


@pytest.fixture(scope="module")
def gateway(compose: Any) -> Any:
    return compose["services"]["gateway"]


def test_targets_and_contexts_are_there(
    compose: Any, server: Any, gateway: Any, stages: dict[str, Stage]
) -> None:
    for service in (server, gateway):
        context = (FOLDER / service["build"]["context"]).resolve()
        assert (context / service["build"]["dockerfile"]).is_file()
        assert service["build"]["target"] in stages
    assert compose.keys() == {"name", "services", "volumes"}


def test_envoy_shares_the_servers_network_and_waits_for_its_health(
    server: Any, gateway: Any
) -> None:
    assert gateway["network_mode"] == "service:server"
    assert gateway["depends_on"] == {"server": {"condition": "service_healthy"}}
    assert "ports" not in gateway, "the namespace's owner opens the ports"
    assert server["ports"] == ["8000:8000", "7860:7860"]


def test_server_is_reached_by_nobody_but_envoy(server: Any) -> None:
    command = " ".join(server["command"])

    assert "--no-gateway --host 127.0.0.1 --port 50051" in command


def test_envoy_reads_the_files_and_cannot_write_them(compose: Any, gateway: Any) -> None:
    assert gateway["volumes"] == ["outputs:/app/outputs:ro"]
    assert compose["volumes"].keys() == {"outputs", "logs"}


def test_containers_can_do_no_more_than_they_need(server: Any, gateway: Any) -> None:
    for service in (server, gateway):
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_gpus_come_with_a_file_of_their_own(stages: dict[str, Stage]) -> None:
    (service,) = yaml.safe_load((FOLDER / "compose.cuda.yaml").read_text())["services"].values()

    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert service["build"]["target"] in stages
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


def test_two_containers_make_one_service(server: Any, gateway: Any, tmp_path: Path) -> None:
    """The commands of both on this machine's loopback, at ports of their own."""
    (inner, outer, ui), outputs = free_ports(3), tmp_path / "outputs"
    variables = {name: value.replace("/app/", f"{tmp_path}/") for name, value in told(server)}
    command = [each.replace("50051", str(inner)) for each in server["command"]]
    places = {"/app/outputs": str(outputs), "7860": str(ui)}
    script = [places.get(each, each) for each in gateway["command"]]
    with started([*command, "--skip-validation", str(PIPELINE)], variables, tmp_path) as log:
        log.wait_for("pipeline is loaded")
        asked = [each.replace("50051", str(inner)) for each in server["healthcheck"]["test"][1:]]
        subprocess.run(asked, env=environment({}), check=True, timeout=60)
        variables = {"GATEWAY_FOLDER": str(tmp_path / "run"), "PORT": str(outer)}
        variables["UPSTREAM"] = f"127.0.0.1:{inner}"
        with started(script, variables, FOLDER), client(outer) as http, client(ui) as people:
            health = http.get("/health").json()
            made = http.post("/generate", json=REQUEST).json()
            film = http.get(made["download_url"])
            page = people.get("/", follow_redirects=True)
            linked = base64.b64decode(made["video_base64"])

    assert health["model_loaded"] is True
    assert film.content == linked
    assert "<title>Image to video</title>" in page.text
    assert (outputs / "tasks" / made["task_id"]).is_dir()
    assert (tmp_path / "logs/app.log").is_file()


def told(service: Any) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in service["environment"].items() if value]


def client(port: int) -> httpx.Client:
    """Tries again until somebody listens."""
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        transport=httpx.HTTPTransport(retries=8),
        timeout=60,
    )
