"""The metadata guide: the documented answer, and what a client can make of it."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.documents.samples import json_sample, on, sample, without
from tests.documents.serving import FUNCTIONS, PLAIN, Served, finish, lay_out
from tests.documents.shell import run
from tests.fakes.media_files import mp4, still

Contract = dict[str, Any]

DOCUMENTED = json_sample("service-metadata")
DECLARED = (
    *("contract_version", "pipeline_name", "supported_tasks", "supported_media_types"),
    *("execution_mode", "effective_max_concurrent_tasks", "entrypoints", "task_contracts"),
)
SETTINGS = {
    "max_queue_size": DOCUMENTED["max_queue_size"],
    "max_concurrent_tasks": DOCUMENTED["service_configured_max_concurrent_tasks"],
}
HIDDEN = {"sample_shift": {"type": "number", "default": 5.0, "exposed": False}}
IMAGE, VIDEO = still(), mp4()


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service of a file that declares what the documented answer shows."""
    folder = tmp_path_factory.mktemp("distilled")
    file = folder / DOCUMENTED["pipeline_file"]
    file.parent.mkdir(parents=True)
    manifest = deepcopy({name: DOCUMENTED[name] for name in DECLARED})
    manifest["task_contracts"]["i2v"]["parameters"] |= HIDDEN
    file.write_text(f"PIPELINE_CONTRACT = {manifest!r}\n\n\n{FUNCTIONS.read_text()}")
    command = f"telefuser serve {DOCUMENTED['pipeline_file']} --task {DOCUMENTED['task']}"
    with Served(command, folder, **SETTINGS) as served:
        yield served


@pytest.fixture(scope="module")
def metadata(distilled: Served) -> dict[str, Any]:
    outcome = run(on(distilled.target, sample("get-metadata")), distilled.folder)
    return outcome.json


def test_metadata_is_the_documented_one(metadata: dict[str, Any]) -> None:
    same = without(DOCUMENTED, "task_contracts")

    assert {name: metadata[name] for name in same} == same
    assert metadata["task_contracts"]["i2v"] == DOCUMENTED["task_contracts"]["i2v"]


def test_supported_task_without_an_entry_has_the_inputs_of_its_kind(
    metadata: dict[str, Any],
) -> None:
    assert metadata["task_contracts"]["fl2v"] == {
        "media_type": "video",
        "required_inputs": ["first_image_path", "last_image_path"],
        "optional_inputs": [],
        "parameters": {},
    }


def test_task_contract_has_four_parts_and_hides_what_is_not_exposed(
    metadata: dict[str, Any],
) -> None:
    contract = metadata["task_contracts"]["i2v"]

    assert list(contract) == ["media_type", "required_inputs", "optional_inputs", "parameters"]
    assert contract["parameters"].keys().isdisjoint(HIDDEN)


def test_form_that_is_made_of_the_metadata_is_accepted(
    distilled: Served, metadata: dict[str, Any]
) -> None:
    task = metadata["supported_tasks"][0]
    contract = metadata["task_contracts"][task]
    uploads = {each.replace("_path", "_file"): IMAGE for each in contract["required_inputs"]}
    fields = {name: field_of(each) for name, each in contract["parameters"].items()}
    filled = fields | {name: "p" for name, value in fields.items() if not value}

    with distilled.http() as http:
        answer = http.post("/v1/tasks/form", data={"task": task, **filled}, files=as_files(uploads))
        task_id = answer.json()["task_id"]
        finish(http, task_id)
        status = http.get(f"/v1/tasks/{task_id}/status").json()

    assert fields == {"prompt": "", "resolution": "720p"}
    assert contract["parameters"]["resolution"]["enum"] == ["480p", "720p"]
    assert (status["status"], status["resolution"]) == ("completed", "720p")


def field_of(parameter: dict[str, Any]) -> Any:
    """Returns what a form shows at first: the default, which is one of the choices."""
    assert not parameter["enum"] or parameter["default"] in parameter["enum"]
    return parameter["default"]


def as_files(uploads: dict[str, bytes]) -> dict[str, tuple[str, bytes]]:
    return {name: ("v.mp4" if each is VIDEO else "i.png", each) for name, each in uploads.items()}


@pytest.mark.parametrize(
    ("uploads", "task"),
    [
        ({}, "t2v"),
        ({"first_image_file": IMAGE}, "i2v"),
        ({"first_image_file": IMAGE, "last_image_file": IMAGE}, "fl2v"),
        ({"first_image_file": VIDEO}, "vc"),
    ],
    ids=["nothing", "first image", "first and last image", "video"],
)
def test_task_is_inferred_from_what_is_uploaded(
    http: httpx.Client, uploads: dict[str, bytes], task: str
) -> None:
    answer = http.post("/v1/tasks/form", data={"prompt": "p"}, files=as_files(uploads))

    status = http.get(f"/v1/tasks/{answer.json()['task_id']}/status").json()
    assert (answer.status_code, status["task"]) == (200, task)


def test_task_is_inferred_by_the_service_whatever_a_client_thinks(distilled: Served) -> None:
    with distilled.http() as http:
        answer = http.post("/v1/tasks/form", data={"task": "t2v", "prompt": "p"})

    assert (answer.status_code, answer.json()["supported_tasks"]) == (400, ["i2v", "fl2v"])


ROUTES = {
    "t2v": "text to video",
    "i2v": "image to video",
    "fl2v": "image to video",
    "vc": "video to video",
    "t2i": "/v1/images/generations",
    "i2i": "/v1/images/edits",
}


def test_gateway_can_route_by_what_the_metadata_says(http: httpx.Client) -> None:
    contracts = http.get("/v1/service/metadata").json()["task_contracts"]

    assert {task: route_of(each) for task, each in contracts.items()} == ROUTES


def route_of(contract: Contract) -> str:
    """Chooses where a request goes, by the documented rules."""
    inputs = contract["required_inputs"]
    if contract["media_type"] == "image":
        return "/v1/images/edits" if "first_image_path" in inputs else "/v1/images/generations"
    if "ref_video_path" in inputs:
        return "video to video"
    return "image to video" if "first_image_path" in inputs else "text to video"


def test_file_without_a_contract_is_told_of_as_legacy_and_works(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, PLAIN)

    with Served(sample("serve-default-task"), folder) as served, served.http() as http:
        metadata = http.get("/v1/service/metadata").json()
        task_id = http.post("/v1/tasks/create", json={"prompt": "p"}).json()["task_id"]
        finish(http, task_id)
        status = http.get(f"/v1/tasks/{task_id}/status").json()

    assert metadata["declared_pipeline_contract"] is False
    assert (metadata["task"], metadata["supported_tasks"]) == ("t2v", ["t2v"])
    assert metadata["task_contracts"]["t2v"]["required_inputs"] == []
    assert metadata["task_contracts"]["t2v"]["parameters"] == {}
    assert (status["status"], status["error"]) == ("completed", None)
