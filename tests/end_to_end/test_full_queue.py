"""A full queue refuses new work in each protocol's own words, and takes it again later."""

from collections.abc import Iterator

import pytest

from telefuser_grpc.client import Client
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import QueueFull
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.fakes.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("full_queue")
    with Service(PUPPET, folder, max_queue_size=2) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with service.client() as client:
        yield client


def test_full_queue_says_when_to_come_back(service: Service, client: Client, gate: Gate) -> None:
    tasks = [client.create("act", parameters={"gate": str(gate)}) for _ in range(2)]

    with service.http() as http:
        refused = http.post("/v1/tasks/create", json={"task": "act"})
        queue = http.get("/v1/tasks/queue/status").json()
    with pytest.raises(QueueFull) as native:
        client.create("act", request_id="")
    gate.open()
    ends = [client.wait(task.id).state for task in tasks]
    later = client.wait(client.create("act").id)

    assert (refused.status_code, refused.json()) == (
        503,
        {"detail": "Task queue is full (max 2 tasks)"},
    )
    assert int(refused.headers["retry-after"]) >= 1
    assert (queue["queue_size"], queue["queue_available"]) == (2, 0)
    assert native.value.code == "RESOURCE_EXHAUSTED"
    assert native.value.metadata == {"limit": "2"}
    assert (native.value.retry_after_seconds or 0) >= 1
    assert ends == [TaskState.COMPLETED] * 2
    assert later.state is TaskState.COMPLETED


def test_refused_task_leaves_nothing(service: Service, client: Client, gate: Gate) -> None:
    tasks = [client.create("act", parameters={"gate": str(gate)}) for _ in range(2)]
    before = sorted(service.cache.glob("tasks/*"))

    with pytest.raises(QueueFull):
        client.create("act", task_id="refused")
    gate.open()
    for task in tasks:
        client.wait(task.id)
    made = client.wait(client.create("act", task_id="refused").id)

    assert sorted(service.cache.glob("tasks/*")) == before
    assert made.attempt == 1
