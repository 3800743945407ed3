"""What a caller over REST is told of media that cannot be used, and that nothing of it is kept."""

import base64
from collections.abc import Iterator

import httpx
import pytest

from tests.end_to_end.conftest import PUPPET
from tests.fakes.media_files import still, truncated
from tests.fakes.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("media")
    with Service(PUPPET, folder, security_level="none", rate_limit_enabled=False) as service:
        yield service


def refusal(service: Service, reference: str) -> tuple[int, dict[str, object]]:
    with service.http() as http:
        body = {"task": "i2v", "prompt": "p", "first_image_path": reference}
        answer = http.post("/v1/tasks/create", json=body)
    (detail,) = answer.json()["detail"]
    assert detail["loc"] == ["body", "first_image_path"]
    assert not any((service.cache / "tasks").rglob("first_image_path*"))
    return answer.status_code, detail


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:10.0.0.1]/a.png",
        "http://0x7f000001/a.png",
        "http://localhost/a.png",
        "http://127.0.0.1:6379/",
        "https://user:password@media.example/a.png",
        "ftp://media.example/a.png",
    ],
)
def test_an_address_that_is_not_fetched_is_400_and_begins_with_the_documented_words(
    service: Service, url: str
) -> None:
    status, detail = refusal(service, url)

    assert status == 400
    assert str(detail["msg"]).startswith("first_image_path URL is not accessible: ")
    assert detail["type"] == "input_rejected"


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("data:image/svg+xml;charset=utf-8,<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        ("data:image/png;charset=x;base64,bm8gcGljdHVyZQ==", "known format"),
        ("data:image/png;base64,%%%", "not valid base64"),
        ("/etc/passwd", "upload the file"),
    ],
)
def test_media_that_is_none_is_400_with_a_remedy(
    service: Service, reference: str, why: str
) -> None:
    status, detail = refusal(service, reference)

    assert status == 400
    assert why in str(detail["msg"])


def test_a_broken_image_is_400_and_names_its_field(service: Service) -> None:
    broken = base64.b64encode(truncated(still(width=64, height=64))).decode()

    status, detail = refusal(service, broken)

    assert status == 400
    assert "is damaged" in str(detail["msg"])


def test_a_data_url_with_parameters_is_taken(service: Service) -> None:
    image = base64.b64encode(still()).decode()
    body = {
        "task": "i2v",
        "prompt": "p",
        "first_image_path": f"data:image/png;charset=x;base64,{image}",
    }

    with service.http() as http:
        answer: httpx.Response = http.post("/v1/tasks/create", json=body)

    assert answer.status_code == 200
