"""kill -9 of a replica, of Envoy: the rest of the service goes on, and nobody misses anything."""

import os
import signal
from collections.abc import Callable, Iterator

import httpx
import pytest

from telefuser_grpc.client import Client
from telefuser_grpc.domain.replica import ReplicaState
from telefuser_grpc.domain.task import TaskState
from tests.end_to_end.begun import until_begun
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.end_to_end.sse import SseEvent, read_events
from tests.end_to_end.stories import is_gapless, words
from tests.fakes.service import Deaths, Service

PENDING, PROCESSING = TaskState.PENDING, TaskState.PROCESSING
COMPLETED, FAILED = TaskState.COMPLETED, TaskState.FAILED

MakeGate = Callable[[], Gate]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("other_deaths")
    with Service(PUPPET, folder, num_replicas=2) as service:
        service.log.wait_for("replica started", count=2)
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with service.client() as client:
        wait_for_replicas(client)
        yield client


def wait_for_replicas(client: Client) -> None:
    """Returns when both replicas are idle; the time until then is spent on tasks."""
    while any(each.state is not ReplicaState.IDLE for each in client.status().replicas):
        client.wait(client.create("act", parameters={"step_seconds": 0.05}).id)


def kill(pid: int) -> None:
    with Deaths([pid]) as deaths:
        os.kill(pid, signal.SIGKILL)
        deaths.wait()


def test_only_the_task_of_a_dead_replica_is_retried(
    service: Service, client: Client, make_gate: MakeGate
) -> None:
    gates = [make_gate(), make_gate()]
    doomed, other = (client.create("act", parameters={"gate": str(gate)}) for gate in gates)
    for gate in gates:
        gate.wait_for_visitor()
    until_begun(client, doomed.id, other.id)
    replicas = client.status().replicas
    (victim,) = (each for each in replicas if each.task_id == doomed.id)

    kill(victim.pid)
    for gate in gates:
        gate.open()
    stories = [list(client.watch(task.id)) for task in (doomed, other)]

    assert [word for word in words(stories[0]) if isinstance(word, TaskState)] == [
        *(PENDING, PROCESSING, PENDING, PROCESSING, COMPLETED)
    ]
    assert words(stories[1]) == [PENDING, PROCESSING, 1, 2, 3, COMPLETED]
    assert all(map(is_gapless, stories))
    assert [client.get(task.id).attempt for task in (doomed, other)] == [2, 1]


def test_dead_replica_is_replaced(service: Service, client: Client) -> None:
    victim = client.status().replicas[0]
    starts = len(service.log.events("replica started"))

    kill(victim.pid)
    service.log.wait_for("replica started", count=starts + 1)
    wait_for_replicas(client)

    successor = client.status().replicas[0]
    assert successor.pid != victim.pid
    assert successor.restarts == victim.restarts + 1
    assert "SIGKILL" in successor.last_error


def test_task_that_kills_every_replica_fails(client: Client) -> None:
    story = list(client.watch(client.create("act", "die").id))

    states = [word for word in words(story) if isinstance(word, TaskState)]
    assert states == [PENDING, PROCESSING, PENDING, PROCESSING, FAILED]
    assert story[-1].change.error.reason == "REPLICA_DIED"
    assert "/" not in story[-1].change.error.message


def test_envoy_heals_and_the_client_misses_nothing(
    service: Service, client: Client, gate: Gate
) -> None:
    task = client.create("act", parameters={"gate": str(gate)})
    events = client.watch(task.id)
    story = [next(events) for _ in range(3)]
    heals = len(service.log.events("gateway restarted"))

    kill(service.children()["envoy"])
    service.log.wait_for("gateway restarted", count=heals + 1)
    gate.open()
    story += events

    assert words(story) == [PENDING, PROCESSING, 1, 2, 3, COMPLETED]
    assert is_gapless(story)


def test_stream_that_died_with_envoy_is_resumed_by_its_id(
    service: Service, client: Client, gate: Gate
) -> None:
    task = client.create("act", parameters={"gate": str(gate)})
    heals = len(service.log.events("gateway restarted"))
    seen: list[SseEvent] = []

    def watch(answer: httpx.Response) -> None:
        for event in read_events(answer):
            seen.append(event)
            if event.name == "progress":
                kill(service.children()["envoy"])

    with (
        service.http() as http,
        http.stream("GET", f"/v1/tasks/{task.id}/events") as answer,
        pytest.raises(httpx.TransportError),
    ):
        watch(answer)
    service.log.wait_for("gateway restarted", count=heals + 1)
    gate.open()
    with service.http() as http:
        resume = {"last-event-id": str(seen[-1].id)}
        with http.stream("GET", f"/v1/tasks/{task.id}/events", headers=resume) as answer:
            rest = list(read_events(answer))

    assert [event.id for event in seen + rest] == list(range(1, 7))
    assert rest[-1].data["status"] == "completed"
