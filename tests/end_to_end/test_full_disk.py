"""The service on a small disk of its own that gets full."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from telefuser_grpc.client import Client
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import StorageFull
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.end_to_end.stories import is_gapless, words
from tests.fakes.service import Service

DISK_SIZE = "4m"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def service(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("full_disk")
    with Service(PUPPET, folder, cache_dir=disk, max_queue_size=1000) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with service.client() as client:
        yield client


@pytest.fixture
def ballast(disk: Path) -> Iterator[Path]:
    """A file that can take the room that is left."""
    path = disk / "ballast"
    yield path
    path.unlink(missing_ok=True)


def fill(ballast: Path) -> None:
    with ballast.open("ab", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            while write(file.fileno(), size):
                pass


def write(descriptor: int, size: int) -> bool:
    try:
        return os.write(descriptor, bytes(size)) > 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False


def create_until_refused(client: Client, ballast: Path) -> list[Task]:
    """Returns the tasks that were accepted before the disk was found full."""
    accepted = []
    while True:
        fill(ballast)
        try:
            accepted.append(client.create("act", "x" * 4000))
        except StorageFull:
            return accepted


def test_full_disk_refuses_and_recovers(
    service: Service, client: Client, gate: Gate, ballast: Path, tmp_path: Path
) -> None:
    film = client.wait(client.create("t2v", "p").id)
    running = client.create("act", parameters={"gate": str(gate)})
    gate.wait_for_visitor()

    accepted = create_until_refused(client, ballast)
    with service.http() as http:
        refused = http.post("/v1/tasks/create", json={"task": "act", "prompt": "x" * 4000})
        status = http.get(f"/v1/tasks/{film.id}/status")
        file = http.get(f"/v1/files/download/{film.id}.mp4")
        listing = [task.id for task in client.list()]
    gate.open()
    ballast.unlink()
    ends = [client.wait(task.id).state for task in (running, *accepted)]
    later = client.wait(client.create("t2v", "p").id)

    assert refused.status_code == 507
    assert refused.json()["detail"].startswith("The server's disk is full")
    assert int(refused.headers["retry-after"]) >= 1
    assert (status.status_code, file.status_code) == (200, 200)
    assert len(file.content) == film.artifacts[0].size_bytes
    assert set(listing) == {film.id, running.id, *(task.id for task in accepted)}
    assert ends == [TaskState.COMPLETED] * len(ends)
    assert later.state is TaskState.COMPLETED


def test_cancel_is_told_and_kept_on_a_full_disk(
    service: Service, client: Client, gate: Gate, ballast: Path
) -> None:
    """The space held back for the ends of tasks takes it, and refuses new tasks."""
    fields = {"steps": 100_000, "step_seconds": 0.01, "exit_gate": str(gate)}
    task = client.create("act", parameters=fields)
    events = client.watch(task.id)
    seen = [next(events) for _ in range(3)]
    create_until_refused(client, ballast)

    told = client.cancel(task.id)
    gate.wait_for_visitor()
    gate.open()
    seen += events
    end = client.get(task.id)
    with pytest.raises(StorageFull):
        client.create("act", "p")
    fill(ballast)
    service.kill()
    ballast.unlink()
    service.start()
    after_the_crash = client.get(task.id)
    later = client.wait(client.create("act", "p").id)

    assert told.state is TaskState.CANCELLING
    assert words(seen)[-2:] == [TaskState.CANCELLING, TaskState.CANCELLED]
    assert is_gapless(seen)
    assert end == after_the_crash
    assert end.state is TaskState.CANCELLED
    assert later.state is TaskState.COMPLETED


def test_cancel_over_rest_is_told_and_kept_on_a_full_disk(
    service: Service, client: Client, gate: Gate, ballast: Path
) -> None:
    fields = {"steps": 100_000, "step_seconds": 0.01, "exit_gate": str(gate)}
    task = client.create("act", parameters=fields)
    events = client.watch(task.id)
    seen = [next(events) for _ in range(3)]
    create_until_refused(client, ballast)

    with service.http() as http:
        answer = http.delete(f"/v1/tasks/{task.id}")
    gate.wait_for_visitor()
    gate.open()
    seen += events

    assert answer.status_code == 200
    assert answer.json()["stop_status"] == "success"
    assert words(seen)[-1] is TaskState.CANCELLED
    assert is_gapless(seen)


def test_running_task_completes_on_a_full_disk(client: Client, gate: Gate, ballast: Path) -> None:
    running = client.create("act", parameters={"gate": str(gate)})
    gate.wait_for_visitor()
    create_until_refused(client, ballast)

    gate.open()

    assert client.wait(running.id).state is TaskState.COMPLETED
