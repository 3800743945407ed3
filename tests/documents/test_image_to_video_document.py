"""The Image-to-Video document: every request, program and command as it is written."""

import base64
import contextlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
import requests

from telefuser_grpc.server.image_to_video.memory import GIGABYTE, DeviceMemory
from tests.documents.other_samples import PIPELINE, bounds, other, other_json, rows
from tests.documents.samples import differences, without
from tests.fakes.media_files import still
from tests.fakes.service import Service
from tests.gateway.deploy.conftest import FOLDER
from tests.gateway.deploy.dockerfile import read_dockerfile
from tests.gateway.deploy.processes import free_ports, started
from tests.gateway.deploy.test_compose import client

IMAGE = base64.b64encode(still()).decode()
SAMPLE_IMAGE = "iVBORw0KGgoAAAANSUhEUgAA..."


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(PIPELINE, tmp_path_factory.mktemp("i2v")) as service:
        yield service


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.http() as http:
        yield http


def placed(text: str, service: Service) -> str:
    """Returns a program for a service that listens elsewhere."""
    return re.sub(r"http://(api\.image2video|localhost:8000)", f"http://{service.target}", text)


def request(**changes: Any) -> Any:
    """Returns the documented request with a whole picture."""
    return other_json("i2v-request") | {"image_base64": IMAGE} | changes


@pytest.mark.parametrize(("name", "has_page"), [("i2v-start-app", True), ("i2v-start-api", False)])
def test_command_starts_what_the_document_says_at_its_addresses(
    tmp_path: Path, name: str, has_page: bool
) -> None:
    folder = tmp_path / "Image-to-Video"
    folder.mkdir()
    for script in FOLDER.glob("*.sh"):
        (folder / script.name).write_bytes(script.read_bytes())
    ports = dict(zip(("8000", "7860"), free_ports(2), strict=True))
    variables = {
        "TELEFUSER_PORT": str(ports["8000"]),
        "TELEFUSER_PIPE_PATH": str(PIPELINE),
        "TELEFUSER_SECURITY_LEVEL": "NONE",
    }
    if has_page:
        variables["TELEFUSER_UI_PORT"] = str(ports["7860"])
    page, docs, health = (
        re.sub(r"\d{4}", lambda match: str(ports[match[0]]), each)
        for each in other("i2v-addresses").splitlines()
    )
    with started(shlex.split(other(name)), variables, folder) as log, client(0) as http:
        log.wait_for("pipeline is loaded")
        answers = [http.get(each) for each in (docs, health)]
        with contextlib.suppress(httpx.ConnectError):
            answers.append(httpx.get(page, follow_redirects=True, trust_env=False))

    assert [each.status_code for each in answers] == [200] * (3 if has_page else 2)
    followed = other("i2v-follow-log").removeprefix("tail -f ")
    named = followed.replace("$(date +%Y%m%d)", f"{date.today():%Y%m%d}")
    assert '"event": "server listens"' in (tmp_path / named).read_text()


def test_health_is_the_documented_one(http: httpx.Client) -> None:
    answer = http.get("/health")

    documented = other_json("i2v-health")
    assert list(answer.json()) == list(documented)
    assert differences(answer.json(), documented) == []
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer.json()["timestamp"])
    assert (answer.json()["status"], answer.json()["model_loaded"]) == ("healthy", True)


def test_documented_request_is_answered_as_documented(http: httpx.Client) -> None:
    assert IMAGE.startswith(SAMPLE_IMAGE.removesuffix("...")[:20])

    made = http.post("/generate", json=request()).json()

    documented = other_json("i2v-success")
    named = r"task_\d{8}_\d{6}(_\d+)?"
    assert list(made) == list(documented)
    assert differences(made, documented) == []
    assert made["parameters"] == documented["parameters"]
    assert re.fullmatch(named, documented["task_id"])
    assert re.fullmatch(named, made["task_id"])
    assert made["download_url"] == f"/outputs/{made['task_id'].replace('task', 'video')}.mp4"
    assert base64.b64decode(made["video_base64"]) == http.get(made["download_url"]).content


def test_image_that_is_cut_short_as_in_print_is_refused_by_name(http: httpx.Client) -> None:
    answer = http.post("/generate", json=other_json("i2v-request"))

    assert answer.status_code == 422
    assert [each["loc"] for each in answer.json()["detail"]] == [["body", "image_base64"]]


def test_failure_is_the_documented_one(http: httpx.Client) -> None:
    answer = http.post("/generate", json=request(prompt="out of memory"))

    documented = other_json("i2v-failure")
    assert answer.status_code == 500
    assert list(answer.json()) == list(documented)
    assert without(answer.json(), "task_id") == without(documented, "task_id")


@pytest.mark.parametrize("row", rows("i2v-fields"), ids=lambda row: row[0])
def test_field_has_its_documented_kind_range_and_default(http: httpx.Client, row: Any) -> None:
    name, kind, required, *rest = row
    operation = http.get("/openapi.json").json()["paths"]["/generate"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    field = schema["properties"][name]

    kinds = {"int": "integer", "float": "number", "enum": "string"}
    assert field["type"] == kinds.get(kind, kind)
    assert (name in schema["required"]) == (required == "是")
    if required == "否":
        allowed, default = rest
        assert str(field["default"]) == default
        if "enum" in field:
            assert field["enum"] == re.findall(r'"(\w+)"', allowed)
        else:
            assert (field["minimum"], field["maximum"]) == bounds(allowed)


def test_documented_program_makes_a_cover(service: Service, tmp_path: Path) -> None:
    picture = tmp_path / "cover.png"
    picture.write_bytes(still())
    scope: dict[str, Any] = {}
    exec(placed(other("i2v-client"), service), scope)

    link = scope["generate_dynamic_cover"](str(picture), "it turns")

    assert re.fullmatch(r"/outputs/video_\d{8}_\d{6}(_\d+)?\.mp4", link)
    with pytest.raises(Exception, match="CUDA out of memory"):
        scope["generate_dynamic_cover"](str(picture), "out of memory")


def test_documented_queue_of_tasks_gets_their_answers(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "celery", queue_module())
    scope: dict[str, Any] = {"requests": requests}
    exec(placed(other("i2v-queue"), service), scope)

    made = scope["async_generate_video"](SimpleNamespace(), IMAGE, "it turns")

    assert made["status"] == "success"


def queue_module() -> ModuleType:
    """Stands for Celery: a task is run at once."""

    class Celery:
        def __init__(self, name: str, broker: str) -> None:
            self.name = name

        def task(self, **options: Any) -> Callable[[Any], Any]:
            return lambda function: function

    module = ModuleType("celery")
    module.__dict__["Celery"] = Celery
    return module


def test_limit_is_the_documented_one(tmp_path: Path) -> None:
    limit = int(other("i2v-limit").removesuffix("/minute"))
    settings = {"rate_limit_enabled": True, "rate_limit_window_size": 3600}
    with Service(PIPELINE, tmp_path, **settings) as service, service.http() as http:
        codes = [http.post("/generate", json={}).status_code for _ in range(limit + 1)]

    assert codes == [422] * limit + [429]


@pytest.mark.parametrize("free", [10.0, 15.4, 15.6, 19.7, 19.9, 23.4, 23.6])
@pytest.mark.parametrize(("resolution", "frames"), [("512p", 16), ("768p", 24), ("1024p", 32)])
def test_memory_is_judged_as_the_documented_function_does(
    free: float, resolution: str, frames: int
) -> None:
    scope: dict[str, Any] = {"get_gpu_free_memory": lambda: free}
    exec(other("i2v-memory"), scope)
    gpu = SimpleNamespace(
        memory_used_bytes=int((30 - free) * GIGABYTE), memory_total_bytes=30 * GIGABYTE
    )
    memory = DeviceMemory(lambda: [gpu])
    side = int(resolution.removesuffix("p"))

    fits = memory.fits((side, side, frames))

    assert fits == scope["can_allocate_gpu_memory"](resolution, frames)


def test_log_line_has_the_documented_keys(http: httpx.Client, service: Service) -> None:
    made = http.post("/generate", json=request()).json()

    documented = other_json("i2v-log-line")
    (line,) = (
        each
        for each in service.log.events(documented["event"])
        if each["task_id"] == made["task_id"]
    )
    assert list(line)[:3] == list(documented)[:3]
    assert differences(line, documented) == []
    for each in (line, documented):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", each["timestamp"])
    assert line["params"] == documented["params"]
    assert line["level"] == documented["level"]


def test_image_is_built_under_the_documented_name_and_run_with_its_ports_and_folders() -> None:
    stages = read_dockerfile(FOLDER / "Dockerfile")
    tag = shlex.split(other("i2v-build"))[3]
    run = shlex.split(other("i2v-run"))
    ports = [run[place + 1].split(":")[1] for place, each in enumerate(run) if each == "-p"]
    folders = [run[place + 1].split(":")[1] for place, each in enumerate(run) if each == "-v"]

    assert run[-1] == tag
    assert f"-t {tag} ." in (FOLDER / "README.md").read_text()
    assert set(ports) <= set(stages["cuda"].last("EXPOSE").split())
    assert all(each in stages["cuda"].last("VOLUME") for each in folders)


@pytest.mark.parametrize("row", rows("i2v-presets"), ids=lambda row: row[0])
def test_preset_has_its_documented_values(http: httpx.Client, row: list[str]) -> None:
    name, resolution, frames, steps, guidance, _ = row

    made = http.post("/generate", json={"image_base64": IMAGE, "prompt": "p", "preset": name})

    assert made.json()["parameters"] == {
        "resolution": resolution,
        "num_frames": int(frames),
        "fps": 8,
        "steps": int(steps),
        "guidance_scale": float(guidance),
    }


def test_failures_are_found_in_the_log_as_documented(tmp_path: Path) -> None:
    """The word is small in our lines; `grep` is told so."""
    settings = {"log_sink": "both", "log_file": tmp_path / "logs/app_20250405.log"}
    (tmp_path / "logs").mkdir()
    with Service(PIPELINE, tmp_path, **settings) as service, service.http() as http:
        failed = http.post("/generate", json=request(prompt="out of memory")).json()
        command = other("i2v-errors-in-log").replace("grep", "grep -i")
        found = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )

    assert failed["task_id"] in found.stdout
