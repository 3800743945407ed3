"""Artifacts are found by the names that callers know."""

from pathlib import Path

import pytest

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import AccessDenied, ArtifactNotFound
from telefuser_grpc.scheduler.library import Library
from tests.fakes.artifacts import MemoryArtifactStore
from tests.fakes.builders import NOW, REPORT, make_artifact, make_task, started
from tests.fakes.tasks import MemoryTaskStore

ROOT = "/srv/cache"


@pytest.fixture
async def library(tmp_path: Path) -> Library:
    """Two ended tasks, a then b, that both made `same.mp4`, and one that waits."""
    store = MemoryTaskStore()
    for task_id in ("a", "b"):
        running = await store.save(started(await store.create(make_task(task_id))))
        made = (make_artifact(task_id), make_artifact(task_id, "sub/same.mp4"))
        await store.save(running.complete(made, REPORT, NOW))
    await store.create(make_task("waiting"))
    assert store.counts()[TaskState.COMPLETED] == 2
    return Library(tasks=store, artifacts=MemoryArtifactStore(tmp_path), root=ROOT)


@pytest.mark.parametrize(
    "name",
    [
        "a.mp4",
        "outputs/videos/a.mp4",
        "tasks/a/outputs/videos/a.mp4",
        "local:tasks/a/outputs/videos/a.mp4",
        f"{ROOT}/tasks/a/outputs/videos/a.mp4",
        f"{ROOT[1:]}/tasks/a/outputs/videos/a.mp4",
    ],
)
async def test_every_form_of_a_name_finds_the_file(library: Library, name: str) -> None:
    assert await library.find(name) == make_artifact("a")


@pytest.mark.parametrize("name", ["same.mp4", "sub/same.mp4"])
async def test_a_name_of_several_tasks_stands_for_the_newest(library: Library, name: str) -> None:
    found: Artifact = await library.find(name)

    assert found.task_id == "b"


@pytest.mark.parametrize(
    "name",
    ["c.mp4", "waiting.mp4", "tasks/c/outputs/videos/c.mp4", "tasks/a/outputs/videos/b.mp4"],
)
async def test_what_nobody_made_is_not_found(library: Library, name: str) -> None:
    with pytest.raises(ArtifactNotFound):
        await library.find(name)


@pytest.mark.parametrize("name", ["tasks/a/inputs/a.png", f"{ROOT}/tasks.db", "/etc/passwd"])
async def test_what_is_no_output_is_denied(library: Library, name: str) -> None:
    with pytest.raises(AccessDenied):
        await library.find(name)
