"""Ids that callers choose: two callers may choose the same, and neither learns of the other."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from telefuser_grpc.domain.contract import PipelineContract
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import TaskAlreadyExists, TaskNotEnded, TaskNotFound
from telefuser_grpc.scheduler.admission import Admission, TaskRequest
from telefuser_grpc.scheduler.callers import set_caller
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.library import Library
from telefuser_grpc.scheduler.names import stored_id
from telefuser_grpc.scheduler.ports import TaskQuery
from tests.fakes.artifacts import MemoryArtifactStore, MemoryMediaInputs
from tests.fakes.replicas import FakePool, Script
from tests.fakes.tasks import MemoryTaskStore
from tests.scheduler.house import House


class Office:
    """A desk and an admission on one scheduler."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.desk = Desk(tasks=house.tasks, scheduler=house.scheduler)
        self.admission = Admission(
            tasks=house.tasks, inputs=MemoryMediaInputs(), scheduler=house.scheduler
        )
        self.admission.open(PipelineContract.parse({"supported_tasks": ["t2v"]}, stem="p"))

    async def create(self, caller: str, name: str = "film", *, is_final: bool = False) -> str:
        """Creates a task as a caller, and goes on as this one; returns its id."""
        set_caller(caller)
        request = TaskRequest(
            fields={"prompt": "x"}, kind="t2v", task_id=name, has_final_id=is_final
        )
        return (await self.admission.admit(request)).id


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    pool = FakePool(script=Script(hangs_after=1))
    house = House(tasks=MemoryTaskStore(), pool=pool, artifacts=MemoryArtifactStore(tmp_path))
    async with house.scheduler:
        house.scheduler.open()
        yield Office(house)


async def test_two_callers_have_tasks_of_one_name(office: Office) -> None:
    told = [await office.create(caller) for caller in ("ann", "bob")]

    of_bob = await office.desk.get("film")
    set_caller("ann")
    of_ann = await office.desk.get("film")

    assert told == ["film", "film"]
    assert (of_ann.id, of_ann.owner) == ("film", "ann")
    assert (of_bob.id, of_bob.owner) == ("film", "bob")


async def test_own_name_is_taken_once(office: Office) -> None:
    await office.create("ann")

    with pytest.raises(TaskAlreadyExists, match="Task ID film already exists"):
        await office.create("ann")


async def test_id_that_the_service_has_made_takes_no_name_from_others(office: Office) -> None:
    await office.create("ann", "made", is_final=True)

    assert await office.create("bob", "made") == "made"
    with pytest.raises(TaskAlreadyExists):
        await office.create("ann", "made")


async def test_all_that_a_caller_is_told_has_the_name(office: Office) -> None:
    await office.create("bob")
    await office.create("ann")
    desk = office.desk

    async with aclosing(desk.watch("film")) as events:
        event = await anext(events)
    page = await desk.list(TaskQuery())
    queue = desk.queue()

    assert event.task_id == "film"
    assert [task.id for task in page.tasks] == ["film"]
    assert {*queue.waiting, *queue.running} == {"film"}
    assert desk.holds("film")
    assert set(desk.running()) <= {"film"}


async def test_caller_stops_and_removes_the_task_of_that_name_alone(office: Office) -> None:
    await office.create("bob")
    await office.create("ann")

    with pytest.raises(TaskNotEnded, match="Task film is"):
        await office.desk.delete("film")
    assert (await office.desk.cancel("film")).id == "film"
    async with aclosing(office.desk.watch("film")) as events:
        async for _ in events:
            pass
    await office.desk.delete("film")

    with pytest.raises(TaskNotFound):
        await office.desk.get("film")
    set_caller("bob")
    assert not (await office.desk.get("film")).state.is_terminal


async def test_place_in_the_queue_is_found_by_the_name(office: Office) -> None:
    names = ["first", "second", "third"]
    for name in names:
        await office.create("ann", name)

    places = [office.desk.place(name) for name in names]

    assert places[-1] is not None
    set_caller("bob")
    assert [office.desk.place(name) for name in names] == [None] * 3


async def test_listing_goes_on_behind_a_name(office: Office) -> None:
    for name in ("first", "second"):
        await office.create("ann", name)

    page = await office.desk.list(TaskQuery(after_id="second"))

    assert [task.id for task in page.tasks] == ["first"]
    set_caller("bob")
    with pytest.raises(TaskNotFound):
        await office.desk.list(TaskQuery(after_id="second"))


async def test_artifact_is_found_by_the_path_with_the_name(tmp_path: Path) -> None:
    house = House(tasks=MemoryTaskStore(), pool=FakePool(), artifacts=MemoryArtifactStore(tmp_path))
    async with house.scheduler:
        house.scheduler.open()
        office = Office(house)
        house.pool.scripts[stored_id("film", "ann")] = [Script()]
        await office.create("ann")
        async with aclosing(office.desk.watch("film")) as events:
            async for _ in events:
                pass
        library = Library(tasks=office.desk, artifacts=house.artifacts)

        (artifact,) = (await office.desk.get("film")).artifacts
        found = [await library.find(each) for each in (artifact.id, "film.mp4")]
        by_name = await library.find(artifact.id.replace(artifact.task_id, "film"))

    assert found == [artifact, artifact]
    assert by_name == artifact


async def test_service_without_callers_stores_ids_as_they_are_chosen(office: Office) -> None:
    assert await office.create("") == "film"
    assert (await office.house.tasks.get("film")).state in TaskState
