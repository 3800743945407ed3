"""A run that goes wrong ends its task with a clear reason, and harms no other."""

from collections.abc import Iterator

import pytest

from telefuser_grpc.client import Client
from telefuser_grpc.domain.task import StateChange, TaskState
from tests.end_to_end.conftest import PUPPET
from tests.fakes.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(PUPPET, tmp_path_factory.mktemp("failures")) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with service.client() as client:
        yield client


@pytest.mark.parametrize(
    ("misdeed", "reason", "message"),
    [
        ("raise", "PIPELINE_FAILED", "ValueError: cannot open '<path>'"),
        (
            "memory",
            "OUT_OF_MEMORY",
            "Out of memory. Please reduce resolution or frame count.",
        ),
        ("unwritable", "OUTPUT_INVALID", "The result cannot be written: File exists"),
        ("garbage", "OUTPUT_INVALID", "The result 'garbage.mp4' "),
    ],
)
def test_bad_run_fails_and_the_same_replica_runs_the_next(
    service: Service, client: Client, misdeed: str, reason: str, message: str
) -> None:
    (before,) = client.status().replicas
    task = client.create("t2v", misdeed, task_id=misdeed)

    end = list(client.watch(task.id))[-1].change
    with service.http() as http:
        told = http.get(f"/v1/tasks/{task.id}/status").text
    made = client.wait(client.create("t2v", "p").id)

    assert isinstance(end, StateChange)
    assert end.error is not None
    assert (end.state, end.error.reason) == (TaskState.FAILED, reason)
    assert end.error.message.startswith(message)
    for text in (end.error.message, told):
        assert "Traceback" not in text
        assert str(service.folder) not in text
        assert str(PUPPET.parent) not in text
    assert client.get(task.id).attempt == 1
    assert made.state is TaskState.COMPLETED
    (after,) = client.status().replicas
    assert (after.pid, after.restarts) == (before.pid, 0)


def test_failed_task_leaves_no_file(service: Service, client: Client) -> None:
    task = client.wait(client.create("t2v", "garbage").id)

    with service.http() as http:
        answer = http.get(f"/v1/files/download/{task.id}.mp4")

    assert (answer.status_code, answer.json()) == (404, {"detail": "File not found"})
