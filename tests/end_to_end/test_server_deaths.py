"""kill -9 of the server at chosen moments: nothing accepted is lost, nothing is done twice."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from telefuser_grpc.client import Client
from telefuser_grpc.domain.task import Task, TaskEvent, TaskState
from telefuser_grpc.pipeline.probe import OUTPUT_LIMITS, probe
from tests.end_to_end.begun import until_begun
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.end_to_end.stories import is_gapless, words
from tests.fakes.service import Service

PENDING, PROCESSING = TaskState.PENDING, TaskState.PROCESSING
COMPLETED, CANCELLED, FAILED = TaskState.COMPLETED, TaskState.CANCELLED, TaskState.FAILED

MakeGate = Callable[[], Gate]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(PUPPET, tmp_path_factory.mktemp("deaths")) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with service.client() as client:
        yield client


def watch_until(client: Client, task: Task, last: TaskState | int) -> list[TaskEvent]:
    """Returns the events of a task up to one."""
    seen = []
    for event in client.watch(task.id):
        seen.append(event)
        if words([event]) == [last]:
            break
    return seen


def rest_of(client: Client, task: Task, seen: list[TaskEvent]) -> list[TaskEvent]:
    """Returns what a watcher is told that takes up where it was cut off; checks the whole story."""
    rest = list(client.watch(task.id, after_sequence=seen[-1].sequence if seen else 0))
    story = list(client.watch(task.id))
    assert seen + rest == story
    assert is_gapless(story)
    assert words(story).count(COMPLETED) <= 1
    return rest


def assert_completed_once(client: Client, task: Task, folder: Path, *, attempts: int) -> None:
    done = client.get(task.id)
    (artifact,) = done.artifacts
    file = client.download(artifact.id, folder / f"{task.id}.mp4")

    assert (done.state, done.attempt) == (COMPLETED, attempts)
    assert probe(file, limits=OUTPUT_LIMITS).frame_count == 5


def scratch_of(service: Service, task: Task) -> list[Path]:
    return list(service.cache.glob(f"tasks/{task.id}/tmp/*"))


def left_of(service: Service) -> set[Path]:
    """Returns the folders that a service needs only while it runs."""
    return {(service.cache / "runtime").readlink(), *(service.cache / "replicas").iterdir()}


def test_what_a_killed_server_leaves_goes_with_the_next_start(service: Service) -> None:
    before = left_of(service)

    service.kill()
    left = left_of(service)
    service.start()

    assert left == before
    assert all(each.is_dir() for each in left_of(service))
    assert not any(each.exists() for each in left)


def test_right_after_the_acknowledgement(service: Service, client: Client, tmp_path: Path) -> None:
    tasks = [client.create("t2v", f"{number}") for number in range(4)]

    service.kill()
    service.start()

    for task in tasks:
        rest_of(client, task, [])
        assert client.get(task.id).attempt <= 2
        assert_completed_once(client, task, tmp_path, attempts=client.get(task.id).attempt)


def test_before_the_dispatch(service: Service, client: Client, gate: Gate, tmp_path: Path) -> None:
    running = client.create("t2v", "first", parameters={"gate": str(gate)})
    waiting = [client.create("t2v", "next") for _ in range(2)]
    until_begun(client, running.id)
    seen = [watch_until(client, task, PENDING) for task in waiting]

    service.kill()
    gate.open()
    service.start()

    for task, before in zip(waiting, seen, strict=True):
        assert words(rest_of(client, task, before)) == [PROCESSING, 1, 2, 3, COMPLETED]
        assert_completed_once(client, task, tmp_path, attempts=1)
    client.wait(running.id)
    assert_completed_once(client, running, tmp_path, attempts=2)
    assert [task.replica for task in map(client.get, [task.id for task in waiting])] == [0, 0]


def test_order_of_waiting_tasks_outlives_the_server(
    service: Service, client: Client, gate: Gate
) -> None:
    running = client.create("act", parameters={"gate": str(gate)})
    waiting = [client.create("act", parameters={"gate": str(gate)}) for _ in range(3)]
    until_begun(client, running.id)

    service.kill()
    service.start()
    until_begun(client, running.id, attempts=2)
    queue = client.queue()
    gate.open()
    ends = [client.wait(task.id) for task in (running, *waiting)]

    assert queue.running == (running.id,)
    assert [each.task_id for each in queue.waiting] == [task.id for task in waiting]
    assert sorted(ends, key=lambda task: task.finished_at) == ends


def test_during_the_steps(service: Service, client: Client, gate: Gate, tmp_path: Path) -> None:
    fields = {"gate": str(gate), "gate_step": 2}
    task = client.create("t2v", "p", parameters=fields)
    seen = watch_until(client, task, 2)
    gate.wait_for_visitor()

    service.kill()
    gate.open()
    service.start()

    rest = rest_of(client, task, seen)
    assert words(rest) == [PENDING, PROCESSING, 1, 2, 3, COMPLETED]
    assert rest[0].change.error.reason == "REPLICA_DIED"
    assert_completed_once(client, task, tmp_path, attempts=2)


def test_during_the_encoding(service: Service, client: Client, gate: Gate, tmp_path: Path) -> None:
    task = client.create("t2v", "p", parameters={"encode_gate": str(gate)})
    seen = watch_until(client, task, 3)
    gate.wait_for_visitor()

    service.kill()
    gate.open()
    service.start()

    assert words(rest_of(client, task, seen)) == [PENDING, PROCESSING, 1, 2, 3, COMPLETED]
    assert_completed_once(client, task, tmp_path, attempts=2)
    assert not scratch_of(service, task)


def test_right_after_the_end(service: Service, client: Client, tmp_path: Path) -> None:
    task = client.create("t2v", "p")
    seen = watch_until(client, task, COMPLETED)

    service.kill()
    service.start()

    assert list(client.watch(task.id)) == seen
    assert_completed_once(client, task, tmp_path, attempts=1)


def test_during_a_cancel(service: Service, client: Client, make_gate: MakeGate) -> None:
    gate = make_gate()
    task = client.create("t2v", "p", parameters={"gate": str(gate)})
    until_begun(client, task.id)
    client.cancel(task.id)
    seen = watch_until(client, task, TaskState.CANCELLING)

    service.kill()
    service.start()

    assert words(rest_of(client, task, seen)) == [CANCELLED]
    assert client.get(task.id).attempt == 1
    assert not scratch_of(service, task)


def test_twice_in_one_task_is_the_end_of_it(service: Service, client: Client, gate: Gate) -> None:
    task = client.create("t2v", "p", parameters={"gate": str(gate)})
    for attempts in (1, 2):
        until_begun(client, task.id, attempts=attempts)
        service.kill()
        service.start()

    states = [word for word in words(rest_of(client, task, [])) if word != 1]
    assert states == [PENDING, PROCESSING, PENDING, PROCESSING, FAILED]
    assert client.get(task.id).error.reason == "REPLICA_DIED"
    assert not scratch_of(service, task)


def test_watcher_of_the_client_notices_nothing(
    service: Service, client: Client, gate: Gate
) -> None:
    task = client.create("act", parameters={"gate": str(gate)})
    events = client.watch(task.id)
    story = [next(events) for _ in range(3)]
    gate.wait_for_visitor()

    service.kill()
    gate.open()
    service.start()
    story += events

    assert is_gapless(story)
    assert words(story) == [
        *(PENDING, PROCESSING, 1),
        *(PENDING, PROCESSING, 1, 2, 3, COMPLETED),
    ]


def test_repeated_request_finds_its_task_again(
    service: Service, client: Client, gate: Gate
) -> None:
    task = client.create("act", request_id="once", parameters={"gate": str(gate)})

    service.kill()
    service.start()
    again = client.create("act", request_id="once", parameters={"gate": str(gate)})
    gate.open()

    assert again.id == task.id
    assert client.wait(task.id).state is COMPLETED
