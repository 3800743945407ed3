"""The HTTP API: every documented request as it is written, sent by curl."""

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from telefuser_grpc.pipeline.probe import OUTPUT_LIMITS, probe
from tests.documents.samples import differences, json_sample, on, sample, without
from tests.documents.serving import Served, await_run, finish
from tests.documents.shell import Outcome, install_stand_in, run
from tests.end_to_end.gates import Gate
from tests.fakes.media_files import mp4, still

Ask = Callable[[str], Outcome]

TASK_ID = "task_abc123xyz"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
IMAGE = "data:image/png;base64," + base64.b64encode(still()).decode()
VIDEO = "data:video/mp4;base64," + base64.b64encode(mp4()).decode()


@pytest.fixture(scope="session")
def finished(http: httpx.Client) -> str:
    """The task that the document asks for, completed."""
    create(http, task="t2v", prompt="p", task_id=TASK_ID)
    finish(http, TASK_ID)
    return TASK_ID


def create(http: httpx.Client, **body: Any) -> str:
    answer = http.post("/v1/tasks/create", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["task_id"])


@contextmanager
def waiting(http: httpx.Client, gate: Gate, *, count: int, **first: Any) -> Iterator[list[str]]:
    """Keeps tasks from their end, the first of which runs."""
    bodies = [first, *[{}] * (count - 1)]
    ids = [create(http, task="t2v", prompt="p", gate=str(gate), **each) for each in bodies]
    await_run(http, ids[0])
    yield ids
    gate.open()
    for task_id in ids:
        finish(http, task_id)


def size_of(http: httpx.Client, name: str) -> tuple[int, int]:
    with av.open(io.BytesIO(http.get(f"/v1/files/download/{name}").content)) as film:
        stream = film.streams.video[0]
        return stream.width, stream.height


def test_every_documented_path_is_below_the_base_url(http: httpx.Client) -> None:
    base = sample("base-url").removeprefix("http://localhost:8000")

    documented = http.get("/openapi.json").json()["paths"]

    assert base == "/v1"
    assert {f"{base}{path}" for _, path in ENDPOINTS} <= documented.keys()


@pytest.mark.parametrize("address", sample("pages").splitlines())
def test_page_is_served(http: httpx.Client, service: Served, address: str) -> None:
    answer = http.get(on(service.target, address))

    told = "application/json" if address.endswith(".json") else "text/html"
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(told)


ENDPOINTS = [
    ("POST", "/tasks/create"),
    ("POST", "/tasks/form"),
    ("GET", "/tasks/{task_id}/status"),
    ("DELETE", "/tasks/{task_id}"),
    ("GET", "/tasks/queue/status"),
    ("GET", "/files/download/{file_path}"),
    ("GET", "/service/health"),
    ("GET", "/service/status"),
    ("GET", "/service/metadata"),
    ("GET", "/service/metrics"),
    ("GET", "/service/metrics/json"),
]


@pytest.mark.parametrize(("verb", "path"), ENDPOINTS)
def test_endpoint_of_the_overview_exists(http: httpx.Client, verb: str, path: str) -> None:
    place = path.replace("{task_id}", "none").replace("{file_path}", "none.mp4")

    answer = http.request(verb, f"/v1{place}")

    assert answer.status_code != 405
    assert answer.text != '{"detail":"Not Found"}'


PARAMETERS = {
    "task": ("t2v", "t2i"),
    "prompt": (None, "a cat"),
    "aspect_ratio": ("16:9", "9:16"),
    "resolution": ("720p", "1080p"),
    "seed": (42, 7),
    "negative_prompt": ("", "blur"),
    "first_image_path": ("", IMAGE),
    "last_image_path": ("", IMAGE),
    "ref_video_path": ("", VIDEO),
    "target_video_length": (5, 2),
    "output_format": ("png", "webp"),
    "output_path": ("auto", "my.png"),
}


def test_parameters_that_are_not_given_reach_the_pipeline_as_documented(
    http: httpx.Client, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"

    finish(http, create(http, prompt="a cat", report=str(report)))

    told = json.loads(report.read_text())
    for name, (default, _) in without(PARAMETERS, "prompt", "output_path").items():
        assert told.get(name, "") == default, name
    assert Path(told["output_path"]).name == f"{told['task_id']}.mp4"


def test_parameters_that_are_given_reach_the_pipeline(http: httpx.Client, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    given = {name: value for name, (_, value) in PARAMETERS.items()}

    finish(http, create(http, **given, report=str(report)))

    told = json.loads(report.read_text())
    media = ("first_image_path", "last_image_path", "ref_video_path")
    assert without(told, *media) | without(given, "output_path", *media) == without(told, *media)
    assert all(Path(told[name]).is_file() for name in media)
    assert Path(told["output_path"]).name == "my.png"


@pytest.mark.parametrize("task", ["t2v", "i2v", "fl2v", "vc", "t2i", "i2i"])
def test_task_of_the_list_is_made(http: httpx.Client, task: str) -> None:
    media = {"first_image_path": IMAGE, "last_image_path": IMAGE, "ref_video_path": VIDEO}

    task_id = create(http, task=task, prompt="p", **media)
    finish(http, task_id)

    status = http.get(f"/v1/tasks/{task_id}/status").json()
    assert (status["status"], status["task"]) == ("completed", task)
    assert status["output_path"] == f"{task_id}.{'png' if task in ('t2i', 'i2i') else 'mp4'}"


def test_answer_to_a_creation_is_the_documented_one(http: httpx.Client) -> None:
    body = {"prompt": "p", "task_id": "task_of_the_answer"}

    answer = http.post("/v1/tasks/create", json=body).json()

    documented = json_sample("created")
    assert differences(answer, documented) == []
    assert list(answer)[: len(documented)] == list(documented)
    assert answer["task_status"] == documented["task_status"]
    assert answer["output_path"] == documented["output_path"].replace(TASK_ID, body["task_id"])


def test_text_to_video_is_the_request_of_the_quick_start() -> None:
    assert sample("create-t2v") == sample("create-task")


def test_image_to_video_takes_an_image_in_base64(service: Served, http: httpx.Client) -> None:
    encoded = base64.b64encode(still("JPEG", width=40, height=30)).decode()
    written = "/9j/4AAQ..."
    assert encoded.startswith(written.removesuffix("..."))

    command = on(service.target, sample("create-i2v")).replace(written, encoded)
    answer = run(command, service.folder)

    finish(http, answer.json["task_id"])
    assert answer.http_status == 200
    assert size_of(http, answer.json["output_path"]) == (40, 30)


def test_image_that_is_cut_short_as_in_print_is_refused_by_name(ask: Ask) -> None:
    answer = ask("create-i2v")

    assert answer.http_status in (400, 422)
    assert answer.json["detail"][0]["loc"] == ["body", "first_image_path"]


def test_form_uploads_an_image_and_creates_the_task(ask: Ask, http: httpx.Client) -> None:
    answer = ask("create-from-form")

    finish(http, answer.json["task_id"])
    status = http.get(f"/v1/tasks/{answer.json['task_id']}/status").json()
    assert answer.http_status == 200
    assert (status["task"], status["prompt"]) == ("i2v", "宇航员行走")
    assert size_of(http, answer.json["output_path"]) == (40, 30)


def test_stand_in_for_curl_is_answered_as_curl(service: Served, tmp_path: Path) -> None:
    (tmp_path / "input.jpg").write_bytes(still("JPEG"))
    (tmp_path / "tools").mkdir()
    install_stand_in(tmp_path / "tools")

    answers = [
        run(on(service.target, sample(name)), tmp_path)
        for name in ("create-from-form", "create-t2v", "get-queue", "cancel")
    ]

    assert [each.http_status for each in answers] == [200] * 4
    assert {each.content_type for each in answers} == {"application/json"}


def test_text_to_image_makes_a_png(image_service: Served) -> None:
    answer = run(on(image_service.target, sample("create-t2i")), image_service.folder)

    with image_service.http() as http:
        finish(http, answer.json["task_id"])
        file = http.get(f"/v1/files/download/{answer.json['output_path']}")
    assert answer.http_status == 200
    assert answer.json["output_path"].endswith(".png")
    assert file.content.startswith(b"\x89PNG")
    assert file.headers["content-type"] == "image/png"


def test_status_is_the_documented_one(ask: Ask, finished: str) -> None:
    answer = ask("get-status")

    documented = json_sample("status")
    times = ("start_time", "end_time")
    assert answer.http_status == 200
    assert differences(answer.json, documented) == []
    assert without(answer.json, *times) | without(documented, *times) == without(
        answer.json, *times
    )
    assert all(re.fullmatch(TIME, answer.json[each]) for each in times)


def test_cancel_stops_a_running_task(image_service: Served, gate: Gate) -> None:
    with image_service.http() as http:
        create(http, task="t2i", prompt="p", task_id=TASK_ID, gate=str(gate))
        await_run(http, TASK_ID)

        answer = run(on(image_service.target, sample("cancel")), image_service.folder)

        gate.open()
        finish(http, TASK_ID)
        status = http.get(f"/v1/tasks/{TASK_ID}/status").json()
    assert answer.http_status == 200
    assert answer.json["stop_status"] == "success"
    assert status["status"] == "cancelled"


def test_cancel_leaves_an_ended_task_as_it_is(ask: Ask, finished: str) -> None:
    answer = ask("cancel")

    assert answer.http_status == 200
    assert answer.json["stop_status"] == "do_nothing"


def test_queue_is_the_documented_one(ask: Ask, http: httpx.Client, gate: Gate) -> None:
    with waiting(http, gate, count=4, task_id="task-123"):
        answer = ask("get-queue")

    assert answer.http_status == 200
    assert answer.json | json_sample("queue") == answer.json


def test_health_is_the_documented_one(ask: Ask) -> None:
    answer = ask("get-health")

    documented = without(json_sample("health"), "timestamp")
    assert answer.http_status == 200
    assert answer.json | documented == answer.json
    assert re.fullmatch(TIME + "Z", answer.json["timestamp"])


def test_server_that_runs_answers_the_check(ask: Ask) -> None:
    answer = ask("check-server")

    assert (answer.code, answer.http_status) == (0, 200)


def test_service_status_counts_what_the_service_does(ask: Ask, finished: str) -> None:
    answer = ask("get-service-status")

    assert answer.http_status == 200
    assert differences(answer.json, without(json_sample("pool-status"), "pool")) == []
    assert answer.json["service_status"] == "idle"
    assert answer.json["execution_mode"] == "serial_single_pipeline"


def test_service_metadata_is_the_documented_one(ask: Ask) -> None:
    answer = ask("get-metadata")

    documented = without(json_sample("metadata"), "pipeline_file")
    assert answer.http_status == 200
    assert answer.json | documented == answer.json
    assert isinstance(answer.json["pipeline_file"], str)


def test_download_writes_the_file(ask: Ask, service: Served, finished: str) -> None:
    answer = ask("download")

    film = probe(service.folder / "output.mp4", limits=OUTPUT_LIMITS)
    assert (answer.code, answer.http_status, answer.content_type) == (0, 200, "video/mp4")
    assert film.frame_count == 4
