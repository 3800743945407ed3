"""What the service removes, what it keeps, and what a kill in the middle leaves."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import StorageFull, TaskNotFound
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.fakes.builders import ended, make_artifact, make_task, started
from tests.fakes.media_files import still
from tests.fakes.service import Service

LONG_AGO = datetime.now(UTC) - timedelta(days=1)
DONE = "clean-up is done"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    path = tmp_path / "cache"
    path.mkdir()
    return path


def keep(cache: Path, count: int) -> list[str]:
    """Stores completed tasks with their files, as a server does; returns their ids, by age."""
    return asyncio.run(_keep(cache, count))


async def _keep(cache: Path, count: int) -> list[str]:
    async with SqliteTaskStore(cache / "tasks.db") as store:
        tasks = [await store.create(make_task()) for _ in range(count)]
        for task in tasks:
            write_old(cache / make_artifact(task.id).path, bytes(1000))
            done = ended(await store.save(started(task)))
            await store.save(replace(done, finished_at=datetime.now(UTC)))
    return [task.id for task in tasks]


def write_old(path: Path, content: bytes = b"x") -> None:
    """Writes a file as if long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    for each in (path, path.parent, path.parent.parent):
        os.utime(each, (LONG_AGO.timestamp(),) * 2)


def folder_names(cache: Path) -> set[str]:
    return {path.name for path in (cache / "tasks").iterdir()}


def removed(service: Service, *, why: str) -> Iterator[str]:
    """Yields the ids of removed tasks as they are told of."""
    count = 0
    while True:
        count += 1
        line = service.log.wait_for("tasks removed", count=count)
        if line["why"] == why:
            yield from line["tasks"]


def test_restart_sweeps_what_nobody_owns_and_uploads_that_nobody_used(cache: Path) -> None:
    kept = keep(cache, 1)
    used_lately = cache / "uploads/upload_aaaaaaaaaaaaaaaaaaaaaaaaaa/content"
    for path in (
        "tasks/task_orphan/inputs/first_image_path.png",
        "tasks/task_broken/inputs/first_image_path.part",
        "trash/task_gone.12345678/outputs/videos/a.mp4",
        "uploads/upload_bbbbbbbbbbbbbbbbbbbbbbbbbb/content",
        f"tasks/{kept[0]}/tmp/1/a.mp4",
    ):
        write_old(cache / path)
    used_lately.parent.mkdir(parents=True)
    used_lately.write_bytes(b"x")

    with Service(PUPPET, cache.parent) as service:
        service.log.wait_for(DONE)
        with service.client() as client:
            listed = [task.id for task in client.list()]

    assert listed == kept
    assert folder_names(cache) == set(kept)
    assert [path.name for path in (cache / "uploads").iterdir()] == [used_lately.parent.name]
    assert not list((cache / "trash").iterdir())
    assert not list((cache / "tasks" / kept[0] / "tmp").iterdir())


def test_ephemeral_tasks_are_gone_after_a_restart_for_every_reader(cache: Path) -> None:
    with Service(PUPPET, cache.parent, artifact_persistence_mode="ephemeral") as service:
        with service.client() as client, service.http() as http:
            film = client.wait(client.create("t2v", "p").id)
            before = http.get(f"/v1/files/download/{film.id}.mp4").status_code
        service.kill()
        service.start()
        service.log.wait_for(DONE)
        with service.client() as client, service.http() as http:
            status = http.get(f"/v1/tasks/{film.id}/status")
            file = http.get(f"/v1/files/download/{film.id}.mp4")
            with pytest.raises(TaskNotFound):
                next(client.watch(film.id))

    assert before == 200
    assert (status.status_code, file.status_code) == (404, 404)
    assert folder_names(cache) == set()


def test_count_is_held_when_a_task_ends(cache: Path) -> None:
    old = keep(cache, 100)

    with (
        Service(PUPPET, cache.parent, cleanup_keep_count=100, log_level="DEBUG") as service,
        service.client() as client,
    ):
        service.log.wait_for(DONE)
        new = client.wait(client.create("t2v", "p").id)
        gone = next(removed(service, why="count"))
        with pytest.raises(TaskNotFound):
            client.get(old[0])
        listed = {task.id for task in client.list()}

    assert gone == old[0]
    assert listed == {new.id, *old[1:]}


def test_bytes_are_held_when_a_task_ends_and_running_ones_stay(cache: Path, gate: Gate) -> None:
    old = keep(cache, 3)

    with (
        Service(
            PUPPET,
            cache.parent,
            artifact_max_total_bytes=3000,
            num_replicas=2,
            log_level="DEBUG",
        ) as service,
        service.client() as client,
    ):
        running = client.create("t2v", "p", parameters={"gate": str(gate)})
        gate.wait_for_visitor()
        client.wait(client.create("t2v", "p").id)
        gone = next(removed(service, why="total bytes"))
        meanwhile = client.get(running.id).state
        gate.open()
        end = client.wait(running.id).state

    assert gone == old[0]
    assert (meanwhile, end) == (TaskState.PROCESSING, TaskState.COMPLETED)


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_kill_in_the_middle_of_a_pass_leaves_nothing_served_or_forgotten(
    cache: Path, batches: int
) -> None:
    keep(cache, 200)
    dying = Service(PUPPET, cache.parent, artifact_persistence_mode="ephemeral", log_level="DEBUG")
    dying.launch()
    dying.log.wait_for("tasks removed", count=batches)
    dying.kill()
    between = len(folder_names(cache))

    with Service(PUPPET, cache.parent) as service:
        service.log.wait_for(DONE)
        with service.client() as client, service.http() as http:
            listed = {task.id for task in client.list()}
            downloads = [
                http.get(f"/v1/files/download/{task_id}.mp4").status_code for task_id in listed
            ]

    assert 0 < between < 200
    assert folder_names(cache) == listed
    assert downloads == [200] * len(listed)
    assert not list((cache / "trash").iterdir())


def test_new_tasks_are_refused_below_the_reserve_and_leave_nothing(cache: Path) -> None:
    with (
        Service(PUPPET, cache.parent, artifact_reserve_bytes=2**60) as service,
        service.client() as client,
        service.http() as http,
    ):
        with pytest.raises(StorageFull):
            client.create("t2v", "p")
        with pytest.raises(StorageFull):
            client.upload(still())
        refused = http.post("/v1/tasks/create", json={"task": "t2v", "prompt": "p"})
        listed = list(client.list())

    assert refused.status_code == 507
    assert int(refused.headers["retry-after"]) >= 1
    assert listed == []
    assert not (cache / "tasks").exists()
    assert not (cache / "uploads").exists()
