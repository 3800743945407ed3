"""The native API through the gateway's port, with the client that the package brings."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from telefuser_grpc.client import Client
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import (
    ArtifactNotFound,
    InputRejected,
    MissingInputs,
    RequestIdReused,
    TaskAlreadyExists,
    TaskNotEnded,
    TaskNotFound,
    UnsupportedTask,
)
from telefuser_grpc.pipeline.probe import OUTPUT_LIMITS, probe
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.end_to_end.stories import is_gapless, words
from tests.fakes.media_files import still
from tests.fakes.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(PUPPET, tmp_path_factory.mktemp("grpc")) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with service.client() as client:
        yield client


def test_task_is_made_watched_and_fetched(client: Client, gate: Gate, tmp_path: Path) -> None:
    created = client.create("t2v", "a", seed=2**60 + 1, parameters={"gate": str(gate)})
    events = client.watch(created.id)
    live = [next(events) for _ in range(3)]
    gate.wait_for_visitor()
    meanwhile, queue = client.get(created.id), client.queue()
    gate.open()
    live += events
    done = client.get(created.id)
    file = client.download(done.artifacts[0].id, tmp_path / "film.mp4")

    assert (created.state, meanwhile.state, done.state) == (
        TaskState.PENDING,
        TaskState.PROCESSING,
        TaskState.COMPLETED,
    )
    assert words(live) == [TaskState.PENDING, TaskState.PROCESSING, 1, 2, 3, TaskState.COMPLETED]
    assert is_gapless(live)
    assert live[-1].sequence == done.sequence
    assert (queue.running, queue.waiting) == ((created.id,), ())
    assert (done.fields["seed"], done.attempt) == (2**60 + 1, 1)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == done.artifacts[0].sha256
    facts = probe(file, limits=OUTPUT_LIMITS)
    assert facts == done.artifacts[0].facts
    assert (facts.width, facts.height, facts.frame_count) == (64, 48, 5)


def test_every_watcher_is_told_the_same(client: Client, gate: Gate) -> None:
    task = client.create("act", parameters={"gate": str(gate)})
    early = client.watch(task.id)
    first = next(early)
    gate.open()

    stories = [[first, *early], list(client.watch(task.id)), list(client.watch(task.id))]

    assert stories[0] == stories[1] == stories[2]
    assert list(client.watch(task.id, after_sequence=2)) == stories[0][2:]
    assert list(client.watch(task.id, after_sequence=stories[0][-1].sequence)) == []


def test_input_is_uploaded_and_checked(client: Client) -> None:
    made = client.wait(client.create("i2v", inputs={"first_image_path": still()}).id)

    assert made.state is TaskState.COMPLETED
    with pytest.raises(InputRejected):
        client.create("i2v", inputs={"first_image_path": b"no picture"})


def test_repeated_request_is_the_same_task(client: Client) -> None:
    first, second = (client.create("act", request_id="once") for _ in range(2))

    assert first.id == second.id
    with pytest.raises(RequestIdReused):
        client.create("act", "another", request_id="once")


def test_refusals_keep_their_classes(client: Client, gate: Gate) -> None:
    running = client.create("act", task_id="mine", parameters={"gate": str(gate)})

    with pytest.raises(UnsupportedTask) as unsupported:
        client.create("vsr")
    with pytest.raises(MissingInputs):
        client.create("i2v")
    with pytest.raises(TaskAlreadyExists):
        client.create("act", task_id="mine")
    with pytest.raises(TaskNotFound):
        list(client.watch("none"))
    with pytest.raises(ArtifactNotFound):
        client.artifact("none.mp4")
    with pytest.raises(TaskNotEnded):
        client.delete(running.id)
    assert unsupported.value.metadata["supported_tasks"] == "t2v,t2i,i2v,act"


def test_deleted_task_is_gone_with_its_files(client: Client, service: Service) -> None:
    task = client.wait(client.create("t2i").id)

    client.delete(task.id)

    with pytest.raises(TaskNotFound):
        client.get(task.id)
    with pytest.raises(ArtifactNotFound):
        client.artifact(task.artifacts[0].id)
    assert not (service.cache / "tasks" / task.id).exists()


def test_tasks_are_listed_newest_first(client: Client) -> None:
    ids = [client.wait(client.create("act").id).id for _ in range(3)]

    listed = [task.id for task in client.list(["completed"], ["act"], page_size=2)]

    assert listed[:3] == ids[::-1]


def test_queue_and_accounts_return_to_zero(client: Client) -> None:
    task = client.wait(client.create("act").id)
    queue, status = client.queue(), client.status()

    assert task.state is TaskState.COMPLETED
    assert (queue.waiting, queue.running) == ((), ())
    assert (status.pending_count, status.processing_count) == (0, 0)
    assert [replica.task_id for replica in status.replicas] == [""]


def test_server_never_loads_torch(service: Service, client: Client) -> None:
    client.wait(client.create("t2i").id)

    maps = {
        name: [line.split()[-1] for line in _maps(pid)]
        for name, pid in {"server": service.process.pid, **service.children()}.items()
    }

    assert set(maps) == {"server", "envoy", "replica 0"}
    assert any("cygrpc" in library for library in maps["server"])
    for forbidden in ("libtorch", "/numpy/"):
        assert not [library for library in maps["server"] if forbidden in library]


def _maps(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/maps").read_text().splitlines()
