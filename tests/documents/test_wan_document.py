"""The Wan2.1 image-to-video document: every request as it is written, through the gateway."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.documents.other_samples import PIPELINE, bounds, other, other_json, rows
from tests.documents.samples import differences
from tests.fakes.media_files import still
from tests.fakes.pictures import pictures
from tests.fakes.service import Service

KEY = "key-of-the-document-0123456789"
LOCAL = "http://localhost:8088"


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    picture = still("JPEG", width=320, height=180)
    with pictures({"/input.jpg": picture, "/mountain.jpg": picture}) as address:
        yield address


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"api_keys": f"reader:{KEY}", "url_allow_private": True}
    with Service(PIPELINE, tmp_path_factory.mktemp("wan"), **settings) as service:
        yield service


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.http() as http:
        for line in other("wan-headers").splitlines():
            name, value = line.split(": ", 1)
            http.headers[name] = value.replace("YOUR_API_KEY", KEY)
        yield http


def placed(name: str, web: str) -> Any:
    """Returns a documented body, whose image lies on this machine."""
    body = other_json(name)
    body["image_url"] = body["image_url"].replace("https://example.com", web)
    return body


def made(http: httpx.Client, body: Any) -> Any:
    """Submits a body, and returns the status of its end."""
    request_id = http.post("/video/submit", json=body).json()["requestId"]
    http.get(f"/v1/tasks/{request_id}/events")
    return http.post("/video/status", json={"requestId": request_id}).json()


def parameter_schema(http: httpx.Client) -> Any:
    operation = http.get("/openapi.json").json()["paths"]["/video/submit"]["post"]
    return operation["requestBody"]["content"]["application/json"]["schema"]


def test_documented_submission_is_accepted_and_named_by_32_characters(
    http: httpx.Client, web: str
) -> None:
    answer = http.post("/video/submit", json=placed("wan-submit", web))

    documented = other_json("wan-submitted")
    assert answer.status_code == 202
    assert answer.json().keys() == documented.keys()
    assert len(answer.json()["requestId"]) == len(documented["requestId"])


def test_documented_answer_tells_of_the_video(
    http: httpx.Client, service: Service, web: str
) -> None:
    body = placed("wan-submit", web) | {"seed": 123456}

    status = made(http, body)

    documented = other_json("wan-succeeded")
    link = status["results"]["videos"][0]["url"]
    assert differences(status, documented) == []
    assert status["status"] == documented["status"]
    assert status["results"]["seed"] == documented["results"]["seed"]
    assert link.replace(f"http://{service.target}", LOCAL).startswith(f"{LOCAL}/videos/")
    assert http.get(link).status_code == 200


def test_request_that_leaves_out_guidance_and_steps_is_accepted(
    http: httpx.Client, web: str
) -> None:
    status = made(http, placed("wan-postman", web))

    assert status["status"] == "Succeed"
    assert status["results"]["num_frames"] == 49


@pytest.mark.parametrize(
    ("path", "name"), [("/video/status", "wan-status"), ("/video/cancel", "wan-cancel")]
)
def test_documented_request_id_is_one_that_nobody_has(
    http: httpx.Client, path: str, name: str
) -> None:
    answer = http.post(path, json=other_json(name))

    assert answer.status_code == 404
    assert answer.json()["detail"]["reason"] == "无效的任务ID"


def test_cancel_is_answered_as_documented(http: httpx.Client, web: str) -> None:
    submissions = [http.post("/video/submit", json=placed("wan-submit", web)) for _ in range(2)]
    body = {**other_json("wan-cancel"), **submissions[1].json()}

    answer = http.post("/video/cancel", json=body)

    http.get(f"/v1/tasks/{submissions[0].json()['requestId']}/events")
    assert (answer.status_code, answer.json()) == (200, other_json("wan-cancelled"))


@pytest.mark.parametrize(("name", "allowed", "required"), rows("wan-parameters"))
def test_parameter_has_its_documented_range(
    http: httpx.Client, name: str, allowed: str, required: str
) -> None:
    schema = parameter_schema(http)

    field = schema["properties"][name]
    kind = field.get("anyOf", [field])[0]
    match name:
        case "image_url":
            assert kind["type"] == "string"
        case "image_size":
            assert sorted(kind["enum"]) == sorted(re.findall(r'"(\w+)"', allowed))
        case "prompt":
            assert (kind["minLength"], kind["maxLength"]) == bounds(allowed)
        case _:
            assert (kind["minimum"], kind["maximum"]) == bounds(allowed)
    has_default = name not in schema["required"]
    assert has_default or required == "是"


@pytest.mark.parametrize(("code", "meaning"), rows("wan-codes"))
def test_code_is_answered_where_it_is_documented(
    http: httpx.Client, web: str, code: str, meaning: str
) -> None:
    good = placed("wan-submit", web)
    requests: dict[str, tuple[str, Any, dict[str, str]]] = {
        "202": ("/video/submit", good, {}),
        "400": ("/video/submit", good | {"image_url": f"{web}/missing.jpg"}, {}),
        "401": ("/video/submit", good, {"authorization": "Bearer unknown"}),
        "404": ("/video/status", other_json("wan-status"), {}),
        "422": ("/video/submit", good | {"num_frames": 7}, {}),
    }
    responses = http.get("/openapi.json").json()["paths"]["/video/submit"]["post"]["responses"]

    if code == "500":  # a run that fails is told by its status; see the next test
        assert code in responses, meaning
        return
    path, body, headers = requests[code]
    assert http.post(path, json=body, headers=headers).status_code == int(code), meaning


def test_memory_that_runs_out_is_told_with_the_advice_to_lower_the_resolution(
    http: httpx.Client, web: str
) -> None:
    status = made(http, placed("wan-submit", web) | {"prompt": "out of memory"})

    assert (status["status"], status["reason"]) == ("Failed", "显存不足，请降低分辨率")


def test_interactive_documentation_is_served(http: httpx.Client) -> None:
    path = other("wan-docs").rpartition("8088")[2]

    assert http.get(path).headers["content-type"].startswith("text/html")
