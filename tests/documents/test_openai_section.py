"""The OpenAI-compatible API: every documented request and program as it is written."""

import io
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from telefuser.service.api.api_server import ApiServer

from telefuser_grpc.pipeline.probe import OUTPUT_LIMITS, probe
from tests.documents.samples import differences, json_sample, on, sample, without
from tests.documents.serving import Served, finish, lay_out
from tests.documents.shell import Outcome, placed, run
from tests.fakes.http_service import Answer, HttpService
from tests.fakes.media_files import still

Ask = Callable[[str], Outcome]
Execute = Callable[[str], dict[str, Any]]

COMMENT = re.compile(r"\s+// .*")
PRINTED_URL = "http://example.com"
ENDPOINTS = [
    ("post", "/v1/images/generations"),
    ("post", "/v1/images/edits"),
    ("get", "/v1/images/{image_id}/content"),
    ("post", "/v1/videos"),
    ("get", "/v1/videos"),
    ("get", "/v1/videos/{video_id}"),
    ("delete", "/v1/videos/{video_id}"),
    ("get", "/v1/videos/{video_id}/content"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service of the section's command, which may read the image of the video request."""
    folder = lay_out(tmp_path_factory.mktemp("openai"))
    (folder / "img").write_bytes(still(width=40, height=30))
    opened = {"url_allow_private": True, "allowed_media_roots": folder}
    with Served(sample("serve-default-task"), folder, **opened) as served:
        yield served


@pytest.fixture(scope="module")
def http(service: Served) -> Iterator[httpx.Client]:
    with service.http() as http:
        yield http


@pytest.fixture
def execute(service: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Execute]:
    """Executes a program in a folder of its own, and returns its names."""
    names: dict[str, Any] = {}
    pause = time.sleep
    monkeypatch.setattr(time, "sleep", lambda _: pause(0.05))
    monkeypatch.chdir(tmp_path)

    def execute(name: str) -> dict[str, Any]:
        exec(compile(on(service.target, sample(name)), name, "exec"), names)
        return names

    yield execute
    names["client"].close()


@pytest.fixture
def video_request(service: Served) -> dict[str, Any]:
    """The documented request, with its image in the service's folder."""
    return read_request("videos-request", service.folder)


@pytest.fixture(scope="module")
def video_id(ask: Ask, http: httpx.Client) -> str:
    """The video of the documented command, completed."""
    created = ask("create-video").json["id"]
    finish(http, created)
    return str(created)


@pytest.fixture(scope="module")
def ask(service: Served) -> Ask:
    """Runs a sample for the service of this section."""
    return lambda name: run(on(service.target, sample(name)), service.folder)


def read_request(name: str, folder: Path) -> dict[str, Any]:
    """Returns a request without the comments that explain its fields."""
    read: dict[str, Any] = json.loads(COMMENT.sub("", placed(sample(name), folder)))
    return read


@pytest.mark.parametrize(("verb", "path"), ENDPOINTS)
def test_openai_path_is_served_unless_told_otherwise(
    http: httpx.Client, verb: str, path: str
) -> None:
    answer = http.request(verb, re.sub(r"{\w+}", "none", path), json={} if verb == "post" else None)

    assert verb in http.get("/openapi.json").json()["paths"][path]
    assert answer.status_code != 405
    assert answer.json().get("detail") != "Not Found"


def test_image_command_is_answered_with_a_link_to_the_image(
    ask: Ask, service: Served, http: httpx.Client
) -> None:
    answer = ask("create-image")

    documented = json_sample("images-response")
    (made,) = answer.json["data"]
    assert answer.http_status == 200
    assert answer.json.keys() >= documented.keys()
    assert differences(answer.json, without(documented, "peak_memory_mb")) == []  # is a GPU's
    assert made["revised_prompt"] == "美丽的日落"
    assert re.fullmatch(rf"http://{service.target}/v1/images/task_\w+/content", made["url"])
    assert Image.open(io.BytesIO(http.get(made["url"]).content)).format == "PNG"


def test_image_request_with_every_documented_field_is_taken(
    http: httpx.Client, service: Served
) -> None:
    wanted = read_request("images-request", service.folder)

    answer = http.post("/v1/images/generations", json=wanted)

    (made,) = answer.json()["data"]
    task_id = made["url"].split("/")[-2]
    status = http.get(f"/v1/tasks/{task_id}/status").json()
    assert made["revised_prompt"] == status["prompt"] == wanted["prompt"]
    assert (status["task"], status["status"]) == ("t2i", "completed")
    assert (status["resolution"], status["aspect_ratio"]) == (wanted["size"], "1:1")
    assert (status["negative_prompt"], status["model"]) == (
        wanted["negative_prompt"],
        wanted["model"],
    )


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("n", [1, 10]),
        ("quality", ["standard", "hd", "auto"]),
        ("response_format", ["url", "b64_json"]),
        ("style", ["vivid", "natural"]),
    ],
)
def test_image_field_takes_the_documented_values(
    http: httpx.Client, field: str, values: list[Any]
) -> None:
    for value in values:
        answer = http.post("/v1/images/generations", json={"prompt": "p", field: value})

        assert answer.status_code == 200
        assert len(answer.json()["data"]) == (value if field == "n" else 1)


@pytest.mark.parametrize(
    ("field", "value"), [("n", 0), ("n", 11), ("quality", "other"), ("response_format", "other")]
)
def test_image_field_outside_of_what_is_documented_is_refused_by_name(
    http: httpx.Client, field: str, value: object
) -> None:
    answer = http.post("/v1/images/generations", json={"prompt": "p", field: value})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]


def test_image_program_saves_its_image(execute: Execute, tmp_path: Path) -> None:
    names = execute("client-image")

    with Image.open(tmp_path / "sunset.png") as image:
        assert image.format == "PNG"
    assert len(names["response"]) == 1


def test_video_command_is_answered_as_documented(ask: Ask, http: httpx.Client) -> None:
    answer = ask("create-video")

    documented = json_sample("videos-response")
    told = answer.json
    same = ("object", "model", "status", "progress", "seconds", "url")
    assert answer.http_status == 200
    assert differences(told, documented) == []
    assert {name: told[name] for name in same} == {name: documented[name] for name in same}
    finish(http, told["id"])


def test_video_command_asks_for_a_state(ask: Ask, service: Served, video_id: str) -> None:
    command = on(service.target, sample("get-video")).replace("{video_id}", video_id)

    told = run(command, service.folder).json

    assert (told["id"], told["status"], told["progress"]) == (video_id, "completed", 100)
    assert told["url"] == f"http://{service.target}/v1/videos/{video_id}/content"


def test_video_command_downloads_the_film(service: Served, video_id: str) -> None:
    command = on(service.target, sample("download-video")).replace("{video_id}", video_id)

    answer = run(command, service.folder)

    assert answer.http_status == 200
    assert answer.content_type.startswith("video/mp4")
    assert probe(service.folder / "output.mp4", limits=OUTPUT_LIMITS).frame_count == 4


@pytest.mark.parametrize("reference", ["input_reference", "reference_url"])
def test_video_request_with_either_reference_is_taken(
    http: httpx.Client, video_request: dict[str, Any], reference: str
) -> None:
    (other,) = {"input_reference", "reference_url"} - {reference}
    wanted = without(video_request, other) | {"output_path": f"{reference}.mp4"}
    with HttpService() as web:
        web.answers["GET /img.png"] = [Answer(still(width=40, height=30))]
        if reference == "reference_url":
            wanted[reference] = wanted[reference].replace(PRINTED_URL, f"{web.url}/img.png")

        video = http.post("/v1/videos", json=wanted).json()
        finish(http, video["id"])

    status = http.get(f"/v1/tasks/{video['id']}/status").json()
    echoed = ("model", "size", "prompt")
    assert [video[name] for name in echoed] == [wanted[name] for name in echoed]
    assert video["seconds"] == str(wanted["seconds"])
    assert (status["task"], status["status"]) == ("i2v", "completed")
    assert status["target_video_length"] == wanted["seconds"]
    assert status["negative_prompt"] == wanted["negative_prompt"]
    assert status["output_path"] == f"{reference}.mp4"


def test_video_request_names_no_file_outside_of_the_service(
    http: httpx.Client, video_request: dict[str, Any]
) -> None:
    answer = http.post("/v1/videos", json=without(video_request, "reference_url"))

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "output_path"


@pytest.mark.parametrize("seconds", [0, 61])
def test_video_has_1_to_60_seconds(http: httpx.Client, seconds: int) -> None:
    answer = http.post("/v1/videos", json={"prompt": "p", "seconds": seconds})

    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "seconds"


def test_video_program_waits_for_its_film_and_downloads_it(
    execute: Execute, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = execute("client-openai-video")

    assert names["video"].status == "completed"
    assert re.fullmatch(r"任务 ID: task_\w+\n状态: (queued|in_progress)\n", capsys.readouterr().out)
    assert probe(tmp_path / "output.mp4", limits=OUTPUT_LIMITS).frame_count == 4


def test_switch_of_a_program_is_on_and_off_as_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELEFUSER_ENABLE_OPENAI_API", raising=False)
    names: dict[str, Any] = {}

    exec(sample("openai-switch"), names)

    calls = re.findall(r"ApiServer\(.*\)", sample("openai-switch"))
    assert [eval(call, names).enable_openai_api for call in calls] == [True, False]
    assert names["server"].enable_openai_api is False
    assert ApiServer().enable_openai_api is True


def test_variable_switches_the_openai_paths_off(tmp_path: Path) -> None:
    command, off = sample("serve-default-task"), {"enable_openai_api": False}
    with Served(command, lay_out(tmp_path), **off) as served, served.http() as http:
        statuses = [
            http.request(verb, re.sub(r"{\w+}", "none", path)).status_code
            for verb, path in ENDPOINTS
        ]
        native = http.get("/v1/tasks/queue/status").status_code

    assert statuses == [404] * len(ENDPOINTS)
    assert native == 200
