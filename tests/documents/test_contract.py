"""The contract of a pipeline: the documented manifest, and what the service does with it."""

import ast
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from telefuser_grpc.pipeline.loader import load
from tests.documents.samples import sample
from tests.documents.serving import FUNCTIONS, Served, finish
from tests.fakes.media_files import still
from tests.fakes.pipelines import write_file

IMAGE = "data:image/png;base64," + base64.b64encode(still()).decode()
MANIFEST = ast.literal_eval(sample("manifest").partition("=")[2].strip())


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service of a file that is the documented manifest and two functions."""
    folder = tmp_path_factory.mktemp("manifest")
    (folder / "pipeline.py").write_text(f"{sample('manifest')}\n\n{FUNCTIONS.read_text()}")
    with Served("telefuser serve ./pipeline.py", folder) as served, served.http() as http:
        yield http


def create(http: httpx.Client, **body: Any) -> httpx.Response:
    return http.post("/v1/tasks/create", json=body)


def test_documented_manifest_is_the_contract_that_is_served(http: httpx.Client) -> None:
    metadata = http.get("/v1/service/metadata").json()

    parameters = metadata["task_contracts"]["i2v"]["parameters"]
    documented = MANIFEST["task_contracts"]["i2v"]
    flat = {name: value for name, value in MANIFEST.items() if name != "task_contracts"}
    assert metadata["declared_pipeline_contract"] is True
    assert metadata | flat == metadata
    assert metadata["task_contracts"].keys() == {"i2v"}
    assert (
        metadata["task_contracts"]["i2v"] | documented | {"parameters": parameters}
        == (metadata["task_contracts"]["i2v"])
    )
    assert list(parameters) == list(documented["parameters"])
    for name, declared in documented["parameters"].items():
        assert parameters[name] | declared == parameters[name]


def test_task_is_inferred_from_the_supported_ones(http: httpx.Client) -> None:
    file = {"first_image_file": ("a.png", still())}

    answer = http.post("/v1/tasks/form", data={"prompt": "p"}, files=file)

    task = http.get(f"/v1/tasks/{answer.json()['task_id']}/status").json()
    assert (answer.status_code, task["task"]) == (200, "i2v")


def test_task_that_is_not_supported_is_refused(http: httpx.Client) -> None:
    answer = create(http, task="t2v", prompt="p")

    assert (answer.status_code, answer.json()["supported_tasks"]) == (400, ["i2v"])


def test_required_inputs_are_checked_before_required_parameters(http: httpx.Client) -> None:
    answer = create(http, task="i2v")

    assert answer.status_code == 400
    assert answer.json()["missing_inputs"] == ["first_image_path"]


def test_required_parameter_is_checked_after_its_empty_default_was_applied(
    http: httpx.Client,
) -> None:
    answer = create(http, task="i2v", first_image_path=IMAGE)

    assert answer.status_code == 400
    assert answer.json()["missing_parameters"] == ["prompt"]


@pytest.mark.parametrize(
    ("given", "used"), [({}, "720p"), ({"resolution": "480p"}, "480p")], ids=["default", "given"]
)
def test_default_of_the_contract_fills_in_what_is_not_given(
    http: httpx.Client, given: dict[str, str], used: str
) -> None:
    answer = create(http, task="i2v", prompt="p", first_image_path=IMAGE, **given)

    task_id = answer.json()["task_id"]
    finish(http, task_id)
    status = http.get(f"/v1/tasks/{task_id}/status").json()
    assert (status["status"], status["error"], status["resolution"]) == ("completed", None, used)


def test_field_that_the_contract_does_not_declare_has_the_general_default(
    http: httpx.Client,
) -> None:
    answer = create(http, task="i2v", prompt="p", first_image_path=IMAGE)

    status = http.get(f"/v1/tasks/{answer.json()['task_id']}/status").json()
    assert "aspect_ratio" not in MANIFEST["task_contracts"]["i2v"]["parameters"]
    assert (status["aspect_ratio"], status["target_video_length"]) == ("16:9", 5)


def test_value_outside_the_choices_of_a_parameter_is_refused(http: httpx.Client) -> None:
    answer = create(http, task="i2v", prompt="p", first_image_path=IMAGE, resolution="1080p")

    (fault,) = answer.json()["detail"]
    assert answer.status_code == 422
    assert (fault["loc"], fault["type"]) == (["body", "resolution"], "enum")


NAMES = ["get_pipeline_contract", "get_pipeline_manifest", "PIPELINE_CONTRACT", "PIPELINE_MANIFEST"]


@pytest.mark.parametrize("first", range(4))
def test_first_of_four_names_holds_the_contract(tmp_path: Path, first: int) -> None:
    declared = [
        f"{name} = {'lambda: ' * name.islower()}"
        + repr({"pipeline_name": name, "supported_tasks": ["t2v"]})
        for name in reversed(NAMES[first:])
    ]
    source = "def get_pipeline(): pass\ndef run_with_file(pipeline): pass\n" + "\n".join(declared)

    loaded = load(write_file(tmp_path, source), task=None, parallelism=1)

    assert loaded.contract.pipeline_name == NAMES[first]
    loaded.close()
