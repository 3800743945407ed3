"""The TaskStore port: every implementation, and the fake, keeps these promises."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from telefuser_grpc.domain.task import (
    Preview,
    Progress,
    StateChange,
    Task,
    TaskError,
    TaskEvent,
    TaskState,
)
from telefuser_grpc.errors import (
    ArtifactNotFound,
    InvalidPageToken,
    ReplicaDied,
    RequestIdReused,
    TaskAlreadyExists,
    TaskNotEnded,
    TaskNotFound,
)
from telefuser_grpc.scheduler.ports import StaleAttempt, TaskQuery, TaskStore
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from tests.fakes.builders import NOW, REPORT, ended, make_artifact, make_task, started
from tests.fakes.tasks import MemoryTaskStore


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TaskStore]:
    if request.param == "memory":
        yield MemoryTaskStore()
    else:
        async with SqliteTaskStore(tmp_path / "tasks.db", clock=lambda: NOW) as sqlite:
            yield sqlite


async def run(store: TaskStore, task: Task, state: TaskState = TaskState.COMPLETED) -> Task:
    """Takes a new task through a whole life."""
    task = await store.save(started(await store.create(task)))
    if state is TaskState.CANCELLED:
        task = await store.save(task.cancelling())
        return await store.save(replace(task, state=state, finished_at=NOW))
    return await store.save(ended(task, state))


async def events_of(store: TaskStore, task_id: str, after: int = 0) -> list[TaskEvent]:
    """Reads an ended task's events."""
    return [event async for event in store.watch(task_id, after)]


async def test_created_task_is_returned_and_found_as_it_was_given(store: TaskStore) -> None:
    task = make_task(
        fields={
            "prompt": "é\u4e2d\n\"'",
            "seed": 2**63 + 1,
            "scale": 1.0,
            "sizes": [1, {"a": None}],
        },
        inputs={"first_image_path": "inputs/first.png"},
        owner="ann",
        request_id="r-1",
        fingerprint="f-1",
        trace_parent="00-1-1-01",
    )

    created = await store.create(task)

    assert created == replace(task, sequence=1)
    assert await store.get(task.id) == created


async def test_task_id_is_given_once(store: TaskStore) -> None:
    first = await store.create(make_task("task_1"))

    with pytest.raises(TaskAlreadyExists):
        await store.create(make_task("task_1", kind="i2v"))

    assert await store.get("task_1") == first


async def test_concurrent_creates_of_one_id_succeed_once(store: TaskStore) -> None:
    tasks = [make_task("task_1", kind=f"k{number}") for number in range(8)]

    results = await asyncio.gather(*map(store.create, tasks), return_exceptions=True)

    created = [result for result in results if isinstance(result, Task)]
    assert len(created) == 1
    assert sum(isinstance(result, TaskAlreadyExists) for result in results) == 7
    assert await store.get("task_1") == created[0]


async def test_repeated_request_returns_the_first_task(store: TaskStore) -> None:
    first = await store.create(make_task(owner="ann", request_id="r", fingerprint="f"))
    await store.save(started(first))

    again = await store.create(make_task(owner="ann", request_id="r", fingerprint="f"))

    assert again == await store.get(first.id)
    assert again.state is TaskState.PROCESSING
    assert sum(store.counts().values()) == 1


async def test_concurrent_repeats_of_a_request_make_one_task(store: TaskStore) -> None:
    tasks = [make_task(request_id="r", fingerprint="f") for _ in range(8)]

    results = await asyncio.gather(*map(store.create, tasks))

    assert len({result.id for result in results}) == 1
    assert len(await store.unfinished()) == 1


async def test_request_id_with_another_fingerprint_is_refused(store: TaskStore) -> None:
    await store.create(make_task(request_id="r", fingerprint="f"))

    with pytest.raises(RequestIdReused):
        await store.create(make_task(request_id="r", fingerprint="g"))

    assert sum(store.counts().values()) == 1


async def test_request_ids_of_other_owners_do_not_meet(store: TaskStore) -> None:
    first = await store.create(make_task(owner="ann", request_id="r", fingerprint="f"))

    second = await store.create(make_task(owner="bob", request_id="r", fingerprint="g"))

    assert first.id != second.id


async def test_tasks_without_request_id_are_never_repeats(store: TaskStore) -> None:
    await store.create(make_task())
    await store.create(make_task())

    assert len(await store.unfinished()) == 2
    assert await store.find_request("", "", "") is None


async def test_find_request_answers_for_active_and_ended_tasks(store: TaskStore) -> None:
    done = await run(store, make_task(owner="ann", request_id="r-1", fingerprint="f"))
    waiting = await store.create(make_task(owner="ann", request_id="r-2", fingerprint="f"))

    assert await store.find_request("ann", "r-1", "f") == done
    assert await store.find_request("ann", "r-2", "f") == waiting
    assert await store.find_request("ann", "r-3", "f") is None
    assert await store.find_request("bob", "r-1", "f") is None
    with pytest.raises(RequestIdReused):
        await store.find_request("ann", "r-1", "g")


async def test_unknown_task_is_not_found(store: TaskStore) -> None:
    with pytest.raises(TaskNotFound):
        await store.get("task_1")
    with pytest.raises(TaskNotFound):
        await store.save(started(make_task("task_1")))
    with pytest.raises(TaskNotFound):
        await store.delete("task_1")
    with pytest.raises(TaskNotFound):
        await anext(store.watch("task_1"))


async def test_save_stores_the_new_state_and_counts_its_event(store: TaskStore) -> None:
    task = await store.create(make_task())

    running = await store.save(started(task, replica=3))

    assert running == replace(started(task, replica=3), sequence=2)
    assert await store.get(task.id) == running


async def test_start_must_carry_the_next_attempt(store: TaskStore) -> None:
    task = await store.create(make_task())

    for attempt in (0, 2):
        with pytest.raises(StaleAttempt):
            await store.save(replace(started(task), attempt=attempt))

    assert (await store.get(task.id)).state is TaskState.PENDING


async def test_end_of_an_old_attempt_is_refused(store: TaskStore) -> None:
    first = await store.save(started(await store.create(make_task())))
    waiting = await store.save(first.requeue(ReplicaDied("replica 0 died")))
    second = await store.save(started(waiting, replica=1))

    with pytest.raises(StaleAttempt):
        await store.save(ended(first))

    assert await store.get(first.id) == second
    assert (await store.save(ended(second))).state is TaskState.COMPLETED


async def test_attempt_that_was_requeued_cannot_end_the_task(store: TaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))
    waiting = await store.save(running.requeue())

    with pytest.raises(StaleAttempt):
        await store.save(ended(running))

    assert await store.get(running.id) == waiting


@pytest.mark.parametrize("state", [state for state in TaskState if state.is_terminal])
async def test_ended_task_never_changes(store: TaskStore, state: TaskState) -> None:
    done = await run(store, make_task(), state)

    for later in TaskState:
        with pytest.raises(StaleAttempt):
            await store.save(replace(done, state=later, attempt=done.attempt))
        with pytest.raises(StaleAttempt):
            await store.save(replace(done, state=later, attempt=done.attempt + 1))

    assert await store.get(done.id) == done


async def test_completion_loses_against_an_earlier_cancel(store: TaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))

    results = await asyncio.gather(
        store.save(running.cancelling()), store.save(ended(running)), return_exceptions=True
    )

    assert isinstance(results[1], StaleAttempt)
    assert (await store.get(running.id)).state is TaskState.CANCELLING


async def test_progress_shows_on_the_task_and_outlives_its_end(store: TaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))
    for step in (1, 2):
        store.append(running.id, 1, Progress(step=step, steps=2, remaining_seconds=0.25))
    store.append(running.id, 1, Preview(step=2, image=b"\xff\xd8"))

    done = await store.save(ended(running))

    assert done.progress == Progress(step=2, steps=2, remaining_seconds=0.25)
    assert done.sequence == 6
    assert await store.get(running.id) == done


async def test_progress_of_a_running_task_is_seen_by_get_and_list(store: TaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))
    async with aclosing(store.watch(running.id, running.sequence)) as events:
        store.append(running.id, 1, Progress(step=1, steps=2))
        event = await anext(events)

    seen = await store.get(running.id)

    assert event.change == seen.progress == Progress(step=1, steps=2)
    assert event.sequence == seen.sequence == 3
    assert (await store.list(TaskQuery())).tasks == (seen,)


async def test_new_attempt_begins_without_progress(store: TaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))
    store.append(running.id, 1, Progress(step=1, steps=2))

    waiting = await store.save(running.requeue(ReplicaDied("replica 0 died")))
    again = await store.save(started(waiting))

    assert waiting.progress is None
    assert again.progress is None


async def test_stale_and_late_progress_is_dropped(store: TaskStore) -> None:
    pending = await store.create(make_task())
    store.append(pending.id, 0, Progress(step=1, steps=9))
    running = await store.save(started(pending))
    store.append(running.id, 0, Progress(step=2, steps=9))
    store.append(running.id, 2, Progress(step=3, steps=9))
    store.append("task_unknown", 1, Progress(step=4, steps=9))
    done = await store.save(ended(running))
    store.append(running.id, 1, Progress(step=5, steps=9))
    await store.create(make_task())  # is committed after what was appended

    events = await events_of(store, done.id)

    assert [type(event.change) for event in events] == [StateChange] * 3
    assert (await store.get(done.id)).progress is None


async def test_task_that_is_being_stopped_still_tells_its_progress(store: TaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))
    stopping = await store.save(running.cancelling())
    store.append(running.id, 1, Progress(step=1, steps=2))

    stopped = await store.save(replace(stopping, state=TaskState.CANCELLED))

    assert stopped.progress == Progress(step=1, steps=2)


async def test_events_are_the_whole_story_without_a_gap(store: TaskStore) -> None:
    artifact = make_artifact("task_1")
    error = ReplicaDied("replica 0 died")
    running = await store.save(started(await store.create(make_task("task_1"))))
    store.append("task_1", 1, Progress(step=1, steps=2))
    running = await store.save(started(await store.save(running.requeue(error))))
    store.append("task_1", 2, Preview(step=1, image=bytes(range(256))))
    done = await store.save(running.complete((artifact,), REPORT, NOW))

    events = await events_of(store, "task_1")

    assert [event.sequence for event in events] == list(range(1, 8))
    assert [event.attempt for event in events] == [0, 1, 1, 1, 2, 2, 2]
    assert {event.time for event in events} == {NOW}
    assert {event.task_id for event in events} == {"task_1"}
    assert [event.change for event in events] == [
        StateChange(state=TaskState.PENDING),
        StateChange(state=TaskState.PROCESSING),
        Progress(step=1, steps=2),
        StateChange(state=TaskState.PENDING, error=TaskError.of(error)),
        StateChange(state=TaskState.PROCESSING),
        Preview(step=1, image=bytes(range(256))),
        StateChange(state=TaskState.COMPLETED, artifacts=(artifact,)),
    ]
    assert done.sequence == 7


async def test_each_replay_is_the_same_from_any_place(store: TaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))
    for step in range(1, 150):
        store.append(running.id, 1, Progress(step=step, steps=150))
        store.append(running.id, 1, Preview(step=step, image=b"x" * 100))
    done = await store.save(ended(running))

    whole = await events_of(store, done.id)

    assert [event.sequence for event in whole] == list(range(1, done.sequence + 1))
    for after in (0, 1, 2, 77, done.sequence - 1):
        assert await events_of(store, done.id, after) == whole[after:]


@pytest.mark.parametrize("beyond", [0, 1, 1000])
async def test_watch_after_the_end_ends_at_once(store: TaskStore, beyond: int) -> None:
    done = await run(store, make_task())

    assert await events_of(store, done.id, done.sequence + beyond) == []


async def test_watch_from_beyond_the_present_ends_with_the_task(store: TaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))
    reading = asyncio.create_task(events_of(store, running.id, 1000))
    await asyncio.sleep(0)

    await store.save(ended(running))

    assert await reading == []


async def test_watchers_that_come_at_any_time_miss_and_repeat_nothing(store: TaskStore) -> None:
    task = await store.create(make_task())
    steps = 40
    come = random.Random(7)

    async def watch_later() -> list[int]:
        for _ in range(come.randrange(2 * steps)):
            await asyncio.sleep(0)
        return [event.sequence async for event in store.watch(task.id)]

    async with asyncio.TaskGroup() as group:
        watchers = [group.create_task(watch_later()) for _ in range(30)]
        running = await store.save(started(task))
        for step in range(1, steps + 1):
            store.append(task.id, 1, Progress(step=step, steps=steps))
            await asyncio.sleep(0)
        done = await store.save(ended(running))

    assert done.sequence == steps + 3
    for watcher in watchers:
        assert watcher.result() == list(range(1, steps + 4))


async def test_slow_watcher_sees_rising_sequences_and_every_state(store: TaskStore) -> None:
    task = await store.create(make_task())
    async with aclosing(store.watch(task.id)) as events:
        seen = [await anext(events)]
        running = await store.save(started(task))
        for step in range(1, 501):
            store.append(task.id, 1, Progress(step=step, steps=500))
        waiting = await store.save(running.requeue(ReplicaDied("replica 0 died")))
        running = await store.save(started(waiting))
        for step in range(1, 501):
            store.append(task.id, 2, Progress(step=step, steps=500))
        await store.save(ended(running))

        seen += [event async for event in events]

    sequences = [event.sequence for event in seen]
    states = [each.change.state for each in seen if isinstance(each.change, StateChange)]
    assert sequences == sorted(set(sequences))
    assert states == ["pending", "processing", "pending", "processing", "completed"]
    assert seen[-1].is_last
    assert seen[-2].change == Progress(step=500, steps=500)


async def test_watcher_is_told_only_what_get_already_knows(store: TaskStore) -> None:
    task = await store.create(make_task())

    async def compare() -> list[bool]:
        return [
            (await store.get(task.id)).sequence >= event.sequence
            async for event in store.watch(task.id)
        ]

    comparing = asyncio.create_task(compare())
    running = await store.save(started(task))
    for step in range(20):
        store.append(task.id, 1, Progress(step=step, steps=20))
    await store.save(ended(running))

    assert all(await comparing)


async def test_deleting_a_task_ends_its_watchers(store: TaskStore) -> None:
    done = await run(store, make_task())
    async with aclosing(store.watch(done.id)) as events:
        await anext(events)

        await store.delete(done.id)

        async with asyncio.timeout(5):
            assert all([event.sequence > 1 async for event in events])


async def test_deleted_task_is_gone_and_its_names_are_free(store: TaskStore) -> None:
    task = make_task("task_1", request_id="r", fingerprint="f")
    done = await run(store, task)

    deleted = await store.delete("task_1")

    assert deleted == done
    for find in (store.get("task_1"), store.delete("task_1"), anext(store.watch("task_1"))):
        with pytest.raises(TaskNotFound):
            await find
    with pytest.raises(ArtifactNotFound):
        await store.find_output("task_1.mp4")
    assert await store.find_request("", "r", "f") is None
    assert (await store.list(TaskQuery())).tasks == ()
    assert sum(store.counts().values()) == 0
    assert (await store.create(task)).sequence == 1


async def test_task_that_has_not_ended_is_not_deleted(store: TaskStore) -> None:
    running = await store.save(started(await store.create(make_task())))

    with pytest.raises(TaskNotEnded):
        await store.delete(running.id)

    assert await store.get(running.id) == running


async def test_unfinished_tasks_come_in_the_order_of_their_creation(store: TaskStore) -> None:
    tasks = [await store.create(make_task()) for _ in range(5)]
    await store.save(ended(await store.save(started(tasks[1]))))
    running = await store.save(started(tasks[3]))
    requeued = await store.save((await store.save(started(tasks[0]))).requeue())

    assert list(await store.unfinished()) == [requeued, tasks[2], running, tasks[4]]


async def test_counts_follow_every_state(store: TaskStore) -> None:
    assert store.counts() == dict.fromkeys(TaskState, 0)
    await store.create(make_task())
    await store.save(started(await store.create(make_task())))
    await store.save((await store.save(started(await store.create(make_task())))).cancelling())
    for state in (TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED):
        await run(store, make_task(), state)
    await store.delete((await run(store, make_task())).id)

    assert store.counts() == dict.fromkeys(TaskState, 1)


async def test_list_gives_the_newest_first_in_pages(store: TaskStore) -> None:
    tasks = [await store.create(make_task()) for _ in range(7)]
    pages, query = [], TaskQuery(page_size=3)
    while True:
        page = await store.list(query)
        pages.append(list(page.tasks))
        if not page.next_page_token:
            break
        query = replace(query, page_token=page.next_page_token)

    newest_first = tasks[::-1]
    assert pages == [newest_first[:3], newest_first[3:6], newest_first[6:]]


async def test_list_gives_the_oldest_first_in_pages_when_asked(store: TaskStore) -> None:
    tasks = [await store.create(make_task()) for _ in range(5)]
    query = TaskQuery(page_size=2, oldest_first=True)
    pages = [page := await store.list(query)]
    while page.next_page_token:
        pages.append(page := await store.list(replace(query, page_token=page.next_page_token)))

    assert [list(page.tasks) for page in pages] == [tasks[:2], tasks[2:4], tasks[4:]]


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("kinds", [(), ("t2v",)])
async def test_list_begins_behind_a_task_and_goes_on_by_token(
    store: TaskStore, oldest_first: bool, kinds: tuple[str, ...]
) -> None:
    tasks = [await store.create(make_task()) for _ in range(4)]
    anchor = await run(store, make_task(kind="t2i"))
    tasks += [await store.create(make_task()) for _ in range(4)]
    behind = tasks[4:] if oldest_first else tasks[3::-1]

    query = TaskQuery(page_size=3, after_id=anchor.id, oldest_first=oldest_first, kinds=kinds)
    first = await store.list(query)
    last = await store.list(replace(query, page_token=first.next_page_token))

    assert [*first.tasks, *last.tasks] == behind
    assert (len(first.tasks), last.next_page_token) == (3, "")


async def test_list_behind_no_task_is_refused(store: TaskStore) -> None:
    await store.create(make_task())

    with pytest.raises(TaskNotFound):
        await store.list(TaskQuery(after_id="task_none"))


async def test_full_last_page_has_no_token(store: TaskStore) -> None:
    for _ in range(3):
        await store.create(make_task())

    page = await store.list(TaskQuery(page_size=3))

    assert len(page.tasks) == 3
    assert page.next_page_token == ""


async def test_pages_do_not_shift_when_tasks_come(store: TaskStore) -> None:
    tasks = [await store.create(make_task()) for _ in range(4)]
    first = await store.list(TaskQuery(page_size=2))
    await store.create(make_task())

    second = await store.list(TaskQuery(page_size=2, page_token=first.next_page_token))

    assert list(second.tasks) == [tasks[1], tasks[0]]


@pytest.mark.parametrize(
    "states", [(), (TaskState.PENDING,), (TaskState.PENDING, TaskState.FAILED)]
)
@pytest.mark.parametrize("kinds", [(), ("t2v",), ("t2i", "t2v"), ("none",)])
@pytest.mark.parametrize("owner", ["", "ann"])
async def test_list_filters_by_state_kind_and_owner(
    store: TaskStore, states: tuple[TaskState, ...], kinds: tuple[str, ...], owner: str
) -> None:
    tasks = []
    for task_owner in ("ann", "bob"):
        for kind in ("t2v", "i2v", "t2i"):
            tasks.append(await store.create(make_task(kind=kind, owner=task_owner)))
            failed = make_task(kind=kind, owner=task_owner)
            tasks.append(await run(store, failed, TaskState.FAILED))
            tasks.append(await run(store, make_task(kind=kind, owner=task_owner)))
    wanted = [
        task
        for task in reversed(tasks)
        if (not states or task.state in states)
        and (not kinds or task.kind in kinds)
        and (not owner or task.owner == owner)
    ]

    query = TaskQuery(states=states, kinds=kinds, owner=owner, page_size=2)
    listed = list((page := await store.list(query)).tasks)
    while page.next_page_token:
        page = await store.list(replace(query, page_token=page.next_page_token))
        listed += page.tasks

    assert listed == wanted


@pytest.mark.parametrize("token", ["x", "1", "!!", "é", "bm90IGpzb24", "W10", "a" * 5000])
async def test_malformed_page_token_is_refused(store: TaskStore, token: str) -> None:
    with pytest.raises(InvalidPageToken):
        await store.list(TaskQuery(page_token=token))


async def test_page_token_of_another_filter_is_refused(store: TaskStore) -> None:
    for _ in range(2):
        await store.create(make_task(owner="ann"))
    token = (await store.list(TaskQuery(owner="ann", page_size=1))).next_page_token

    for other in (
        TaskQuery(),
        TaskQuery(owner="bob"),
        TaskQuery(owner="ann", kinds=("t2v",)),
        TaskQuery(owner="ann", oldest_first=True),
    ):
        with pytest.raises(InvalidPageToken):
            await store.list(replace(other, page_token=token))


async def test_output_is_found_by_path_and_by_file_name(store: TaskStore) -> None:
    artifact = make_artifact("task_1", "trailers/ball.mp4")
    running = await store.save(started(await store.create(make_task("task_1"))))
    await store.save(running.complete((artifact,), REPORT, NOW))

    assert await store.find_output("trailers/ball.mp4") == artifact
    assert await store.find_output("ball.mp4") == artifact
    for other in ("trailers", "Ball.mp4", "ball", "", "%"):
        with pytest.raises(ArtifactNotFound):
            await store.find_output(other)


async def test_output_name_of_several_tasks_finds_the_newest_task(store: TaskStore) -> None:
    tasks = [await store.create(make_task()) for _ in range(2)]
    for task in reversed(tasks):
        running = await store.save(started(task))
        artifacts = (make_artifact(task.id, "ball.mp4"),)
        await store.save(running.complete(artifacts, REPORT, NOW))

    assert (await store.find_output("ball.mp4")).task_id == tasks[1].id


async def test_output_of_another_owner_is_not_found(store: TaskStore) -> None:
    tasks = [await store.create(replace(make_task(), owner=each)) for each in ("ann", "bob")]
    for task in tasks:
        running = await store.save(started(task))
        await store.save(running.complete((make_artifact(task.id, "ball.mp4"),), REPORT, NOW))

    assert (await store.find_output("ball.mp4", owner="ann")).task_id == tasks[0].id
    with pytest.raises(ArtifactNotFound):
        await store.find_output("ball.mp4", owner="eve")


async def test_changes_tells_now_and_after_each_state(store: TaskStore) -> None:
    async with aclosing(store.changes()) as changes:
        await anext(changes)
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        assert not waiting.done()

        task = await store.create(make_task())
        await waiting

        for change in (started(task), ended(started(task))):
            await store.save(change)
            await anext(changes)


async def test_changes_that_nobody_read_are_told_once(store: TaskStore) -> None:
    async with aclosing(store.changes()) as changes:
        await anext(changes)
        for _ in range(3):
            await store.create(make_task())
        await anext(changes)

        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)

        assert not waiting.done()
        await store.create(make_task())
        await waiting
