"""A service that finishes every task at once, and has finished the one of the examples."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from telefuser_grpc.server.openapi.task_bodies import FILM
from tests.fakes.service import Service

KEY = "a-key-of-the-documentation"
LIMITS = {"max_queue_size": 1000, "max_file_size": 65536}
PIPELINE = Path(__file__).parent / "instant_pipeline.py"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(PIPELINE, tmp_path_factory.mktemp("docs"), **LIMITS) as service:
        with service.http() as http:
            make(http, task="clip", prompt="p", task_id=FILM)
        yield service


@pytest.fixture(scope="session")
def url(service: Service) -> str:
    return f"http://{service.target}"


@pytest.fixture(scope="session")
def url_with_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("keys")
    with Service(PIPELINE, folder, **LIMITS, api_keys=f"docs:{KEY}") as service:
        yield f"http://{service.target}"


def make(http: httpx.Client, **body: str) -> None:
    """Makes a task and waits for its end."""
    created = http.post("/v1/tasks/create", json=body)
    assert created.status_code == 200, created.text
    http.get(f"/v1/tasks/{body['task_id']}/events")
