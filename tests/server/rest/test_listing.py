"""The listing of tasks over REST."""

import pytest

from tests.server.backend import COMPLETES, Backend
from tests.server.rest.gateway import Gateway

BALL = {"task": "t2v", "prompt": "a red ball"}


@pytest.fixture
async def gateway(backend: Backend) -> Gateway:
    """A service with a completed film, a completed still, a running film and a waiting one."""
    gateway = Gateway(backend)
    for task_id, kind in (("film", "t2v"), ("still", "t2i")):
        backend.pool.scripts[task_id] = [COMPLETES]
        await gateway.create(BALL | {"task_id": task_id, "task": kind})
        await backend.ended(task_id)
    await gateway.create(BALL | {"task_id": "running"})
    await backend.started("running")
    await gateway.create(BALL | {"task_id": "waiting"})
    return gateway


async def test_tasks_are_listed_the_newest_first_as_their_status_is(gateway: Gateway) -> None:
    answer = await gateway.list()

    ids = [task["task_id"] for task in answer.json["tasks"]]
    assert ids == ["waiting", "running", "still", "film"]
    assert answer.json["tasks"][3] == (await gateway.status("film")).json
    assert answer.json["next_page_token"] is None


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"status": ["completed"]}, ["still", "film"]),
        ({"status": ["Processing", " pending "]}, ["waiting", "running"]),
        ({"status": ["failed"]}, []),
        ({"status": [""], "task": [""]}, ["waiting", "running", "still", "film"]),
        ({"task": ["t2i"]}, ["still"]),
        ({"task": ["t2v"], "status": ["completed"]}, ["film"]),
        ({"task": ["vsr"]}, []),
    ],
)
async def test_filters_narrow_the_listing(
    gateway: Gateway, query: dict[str, list[str]], ids: list[str]
) -> None:
    answer = await gateway.list(**query)

    assert answer.status == 200
    assert [task["task_id"] for task in answer.json["tasks"]] == ids


async def test_task_that_is_being_stopped_is_listed_as_processing(
    backend: Backend, gateway: Gateway
) -> None:
    task = await backend.tasks.get("running")
    await backend.tasks.save(task.cancelling())

    answer = await gateway.list(status=["processing"])

    assert [task["task_id"] for task in answer.json["tasks"]] == ["running"]


async def test_pages_follow_each_other(gateway: Gateway) -> None:
    first = (await gateway.list(page_size=3)).json
    second = (await gateway.list(page_size=3, page_token=first["next_page_token"])).json

    assert [task["task_id"] for task in first["tasks"]] == ["waiting", "running", "still"]
    assert [task["task_id"] for task in second["tasks"]] == ["film"]
    assert second["next_page_token"] is None


async def test_page_token_of_another_listing_is_422(gateway: Gateway) -> None:
    token = (await gateway.list(page_size=1)).json["next_page_token"]

    answer = await gateway.list(page_size=1, page_token=token, task=["t2v"])

    assert (answer.status, answer.faults) == (422, [(["query", "page_token"], "page_token")])


@pytest.mark.parametrize(
    ("query", "loc", "kind"),
    [
        ({"page_size": -1}, ["query", "page_size"], "greater_than_equal"),
        ({"page_size": 1001}, ["query", "page_size"], "less_than_equal"),
        ({"page_token": "nonsense"}, ["query", "page_token"], "page_token"),
        ({"status": ["pending", "queued"]}, ["query", "status"], "enum"),
        ({"task": ["no task"]}, ["query", "task"], "string_pattern_mismatch"),
    ],
)
async def test_wrong_query_is_422_and_says_how_to_mend_it(
    gateway: Gateway, query: dict[str, object], loc: list[str], kind: str
) -> None:
    answer = await gateway.list(**query)

    assert (answer.status, answer.faults) == (422, [(loc, kind)])
    assert set(answer.detail[0]) == {"type", "loc", "msg"}


async def test_every_fault_of_a_query_is_named(gateway: Gateway) -> None:
    answer = await gateway.list(page_size=-1, status=["x"], task=["-"])

    assert [loc[1] for loc, _ in answer.faults] == ["status", "task", "page_size"]
