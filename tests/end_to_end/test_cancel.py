"""Cancel means that the steps stop."""

from collections.abc import Callable, Iterator

import pytest

from telefuser_grpc.client import Client
from telefuser_grpc.domain.task import TaskState
from tests.end_to_end.begun import until_begun
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.end_to_end.stories import words
from tests.fakes.service import Service

PENDING, PROCESSING = TaskState.PENDING, TaskState.PROCESSING
CANCELLING, CANCELLED, COMPLETED = TaskState.CANCELLING, TaskState.CANCELLED, TaskState.COMPLETED

MakeGate = Callable[[], Gate]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("cancel")
    with Service(PUPPET, folder, cancel_timeout=0.5) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with service.client() as client:
        yield client


def test_running_task_takes_at_most_one_more_step(client: Client) -> None:
    task = client.create("act", parameters={"steps": 10_000, "step_seconds": 0.05})
    events = client.watch(task.id)
    seen = [next(events) for _ in range(5)]
    acknowledged = client.cancel(task.id)
    seen += events

    told = words(seen)
    assert acknowledged.state is CANCELLING
    assert told[-1] is CANCELLED
    assert len(told[told.index(CANCELLING) :]) <= 3
    assert seen[-1].change.error.reason == "CANCELLED"
    assert client.get(task.id).artifacts == ()


def test_waiting_task_is_gone_at_once(client: Client, gate: Gate) -> None:
    running = client.create("act", parameters={"gate": str(gate)})
    waiting = client.create("act")
    until_begun(client, running.id)

    cancelled = client.cancel(waiting.id)
    queue = client.queue()
    gate.open()

    assert (cancelled.state, cancelled.attempt) == (CANCELLED, 0)
    assert (queue.running, queue.waiting) == ((running.id,), ())
    assert words(client.watch(waiting.id)) == [PENDING, CANCELLED]
    assert client.wait(running.id).state is COMPLETED


def test_run_that_does_not_listen_is_killed(service: Service, client: Client, gate: Gate) -> None:
    starts = len(service.log.events("replica started"))
    task = client.create("act", parameters={"gate": str(gate)})
    until_begun(client, task.id)
    gate.wait_for_visitor()

    client.cancel(task.id)
    ended = client.wait(task.id)
    service.log.wait_for("replica started", count=starts + 1)

    assert (ended.state, ended.attempt) == (CANCELLED, 1)
    assert client.wait(client.create("act").id).state is COMPLETED


def test_cancel_during_the_encoding_leaves_no_file(
    service: Service, client: Client, gate: Gate
) -> None:
    replica = client.status().replicas[0].pid
    task = client.create("t2v", "p", parameters={"encode_gate": str(gate)})
    gate.wait_for_visitor()

    client.cancel(task.id)
    ended = client.wait(task.id)
    gate.open()

    assert (ended.state, ended.artifacts) == (CANCELLED, ())
    assert not (service.cache / "tasks" / task.id / "outputs").exists()
    assert client.wait(client.create("act").id).state is COMPLETED
    assert client.status().replicas[0].pid == replica


def test_second_cancel_changes_nothing(client: Client) -> None:
    task = client.create("act", parameters={"steps": 10_000, "step_seconds": 0.05})
    client.cancel(task.id)
    story = list(client.watch(task.id))

    again = client.cancel(task.id)

    assert again.state is CANCELLED
    assert list(client.watch(task.id)) == story
