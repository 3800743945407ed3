"""Callers at the desk: the tasks of others do not exist to them."""

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any

import pytest

from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import ArtifactNotFound, TaskNotFound
from telefuser_grpc.scheduler.callers import current_caller, is_mine, set_caller
from telefuser_grpc.scheduler.desk import Desk
from telefuser_grpc.scheduler.ports import TaskQuery
from tests.fakes.builders import make_task
from tests.fakes.replicas import Script
from tests.scheduler.house import House

HANGS = Script(hangs_after=0)


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(tasks=house.tasks, scheduler=house.scheduler)


@pytest.fixture
async def running(house: House) -> str:
    """A task of ann's that runs; one of bob's waits behind it."""
    await _submit(house, "a", "ann", HANGS)
    await house.pool.started("a")
    await _submit(house, "b", "bob")
    return "a"


async def _submit(house: House, task_id: str, owner: str, *scripts: Script) -> Task:
    house.pool.scripts[task_id] = list(scripts)
    task = await house.tasks.create(make_task(task_id, owner=owner))
    house.scheduler.submit(task)
    return task


async def _watched(desk: Desk, task_id: str) -> None:
    async for _ in desk.watch(task_id):
        return


@pytest.mark.parametrize(
    "act",
    [
        lambda desk, task_id: desk.get(task_id),
        lambda desk, task_id: desk.cancel(task_id),
        lambda desk, task_id: desk.delete(task_id),
        _watched,
    ],
    ids=["get", "cancel", "delete", "watch"],
)
async def test_task_of_another_is_as_one_that_does_not_exist(
    desk: Desk, house: House, running: str, act: Callable[[Desk, str], Awaitable[Any]]
) -> None:
    set_caller("bob")

    foreign, absent = [(await _refusal(act(desk, task_id)), task_id) for task_id in (running, "z")]

    assert foreign[0].message == absent[0].message
    assert foreign[0].metadata == {"task_id": running}
    assert (await house.tasks.get(running)).state is TaskState.PROCESSING


async def test_owner_and_a_service_without_callers_see_the_task(desk: Desk, running: str) -> None:
    set_caller("ann")
    mine = await desk.get(running)
    set_caller("")
    everybodys = await desk.get(running)

    assert mine == everybodys


async def test_listing_has_the_callers_tasks_alone(desk: Desk, running: str) -> None:
    listed = {}
    for caller in ("ann", "bob", "cy", ""):
        set_caller(caller)
        listed[caller] = {task.id for task in (await desk.list(TaskQuery())).tasks}

    assert listed == {"ann": {"a"}, "bob": {"b"}, "cy": set(), "": {"a", "b"}}


async def test_queue_names_the_callers_tasks_and_counts_all(desk: Desk, running: str) -> None:
    seen = {}
    for caller in ("ann", "bob"):
        set_caller(caller)
        queue = desk.queue()
        seen[caller] = (queue.running, queue.waiting, desk.running(), set(queue.expected_starts))

    assert seen["ann"][:3] == (("a",), (), ("a",))
    assert seen["bob"][:3] == ((), ("b",), ())
    assert "a" not in seen["bob"][3]
    assert desk.running_count() == 1
    assert desk.counts()[TaskState.PENDING] == 1


async def test_task_of_another_is_not_held(desk: Desk, running: str) -> None:
    set_caller("ann")

    assert desk.holds("a")
    assert not desk.holds("b")


async def test_file_of_another_is_not_found(desk: Desk, house: House) -> None:
    task = await _submit(house, "done", "ann")
    await house.ended(task)
    set_caller("ann")
    found = await desk.find_output(task.output_name)
    set_caller("bob")

    with pytest.raises(ArtifactNotFound):
        await desk.find_output(task.output_name)
    assert found.task_id == "done"


def test_caller_is_known_for_the_rest_of_the_call_and_no_longer() -> None:
    copy_context().run(set_caller, "ann")

    assert current_caller() == ""


@pytest.mark.parametrize(
    ("caller", "owner", "mine"),
    [("ann", "ann", True), ("ann", "bob", False), ("ann", "", False), ("", "ann", True)],
)
def test_what_was_made_without_callers_is_nobodys(caller: str, owner: str, mine: bool) -> None:
    context = copy_context()
    context.run(set_caller, caller)

    assert context.run(is_mine, owner) is mine


async def _refusal(call: Awaitable[Any]) -> TaskNotFound:
    with pytest.raises(TaskNotFound) as refused:
        await call
    return refused.value
