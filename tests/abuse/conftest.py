"""The service that is abused, and what is counted meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.abuse.exact_pipeline import TICKET
from tests.abuse.heads import FILM
from tests.fakes.media_files import mp4
from tests.fakes.service import Service

PIPELINE = Path(__file__).parent / "exact_pipeline.py"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has made one film."""
    with Service(PIPELINE, tmp_path_factory.mktemp("abuse"), max_file_size=2**30) as service:
        make(service, task="clip", task_id=FILM)
        yield service


def make(service: Service, **body: str) -> str:
    """Makes a task, waits for its end and returns its state."""
    with service.http() as http:
        created = http.post("/v1/tasks/create", json={"prompt": "p", "ticket": TICKET} | body)
        assert created.status_code == 200, created.text
        task_id = created.json()["task_id"]
        http.get(f"/v1/tasks/{task_id}/events")
        return str(http.get(f"/v1/tasks/{task_id}/status").json()["status"])


def write_clip(path: Path, size: int) -> None:
    """Writes a film of that many bytes: a short one with a box behind it that players skip."""
    film = mp4()
    path.write_bytes(film + (size - len(film)).to_bytes(4, "big") + b"free")
    with path.open("r+b") as file:
        file.truncate(size)
