"""Topics: what a slow watcher may miss, and what it may not."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefuser_grpc.domain.task import Preview, Progress, StateChange, TaskEvent, TaskState
from telefuser_grpc.storage.watchers import LEAST_KEPT, MOST_KEPT, Topic
from tests.fakes.builders import NOW

CHANGES: dict[str, StateChange | Progress | Preview] = {
    "state": StateChange(state=TaskState.PROCESSING),
    "progress": Progress(step=1, steps=2),
    "preview": Preview(step=1, image=b"p"),
}


def event(sequence: int, kind: str = "progress") -> TaskEvent:
    return TaskEvent(task_id="task_1", sequence=sequence, time=NOW, attempt=1, change=CHANGES[kind])


async def rest(topic: Topic, after: int = 0) -> list[TaskEvent]:
    """Reads an ended topic to its end."""
    seen: list[TaskEvent] = []
    while following := await topic.next(seen[-1].sequence if seen else after):
        seen.append(following)
    return seen


@given(kinds=st.lists(st.sampled_from([*CHANGES, "progress", "progress"]), max_size=1000))
def test_topic_keeps_states_and_the_latest_of_each_kind(kinds: list[str]) -> None:
    events = [event(sequence, kind) for sequence, kind in enumerate(kinds, 1)]
    topic = Topic()

    for each in events:
        topic.put(each)
    topic.end()
    seen = asyncio.run(rest(topic))

    assert [each for each in seen if isinstance(each.change, StateChange)] == [
        each for each in events if isinstance(each.change, StateChange)
    ]
    assert [each.sequence for each in seen] == sorted({each.sequence for each in seen})
    assert seen[-LEAST_KEPT:] == events[-LEAST_KEPT:]
    for kind in set(kinds):
        assert events[len(kinds) - 1 - kinds[::-1].index(kind)] in seen
    others = [each for each in seen if not isinstance(each.change, StateChange)]
    assert len(others) <= MOST_KEPT


async def test_reading_begins_after_any_sequence() -> None:
    topic = Topic()
    for sequence in (3, 4, 7):
        topic.put(event(sequence))
    topic.end()

    assert [each.sequence for each in await rest(topic, 0)] == [3, 4, 7]
    assert [each.sequence for each in await rest(topic, 4)] == [7]
    assert await rest(topic, 9) == []


async def test_every_waiting_watcher_wakes() -> None:
    topic = Topic()
    waiting = [asyncio.ensure_future(topic.next(0)) for _ in range(1000)]
    await asyncio.sleep(0)

    topic.put(event(1))

    assert {each.sequence for each in await asyncio.gather(*waiting) if each} == {1}


async def test_watcher_that_is_cancelled_disturbs_no_other() -> None:
    topic = Topic()
    waiting = [asyncio.ensure_future(topic.next(0)) for _ in range(3)]
    await asyncio.sleep(0)

    waiting[1].cancel()
    topic.put(event(1))

    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results[0] == results[2] == event(1)
    assert isinstance(results[1], asyncio.CancelledError)


@pytest.mark.parametrize("state", [state for state in TaskState if state.is_terminal])
async def test_last_event_ends_the_topic(state: TaskState) -> None:
    topic = Topic()
    last = TaskEvent(
        task_id="task_1", sequence=2, time=NOW, attempt=1, change=StateChange(state=state)
    )

    topic.put(last)

    assert await topic.next(1) is last
    assert await topic.next(2) is None
