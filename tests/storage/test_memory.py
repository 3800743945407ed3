"""What is told of a task without asking the disk."""

from telefuser_grpc.domain.task import Preview, Progress, StateChange, TaskEvent, TaskState
from telefuser_grpc.storage.memory import LONGEST_STORY, MOST_STORIES, ShortStories
from tests.fakes.builders import NOW

PENDING = StateChange(state=TaskState.PENDING)


def event(
    sequence: int, change: StateChange | Progress | Preview = PENDING, task_id: str = "t1"
) -> TaskEvent:
    return TaskEvent(task_id=task_id, sequence=sequence, time=NOW, attempt=0, change=change)


def test_a_short_story_is_told_from_any_place() -> None:
    stories = ShortStories()
    events = [event(sequence) for sequence in (1, 2, 3)]
    for each in events:
        stories.add(each)

    assert stories.after("t1", 0) == events
    assert stories.after("t1", 2) == events[2:]
    assert stories.after("t1", 3) == []


def test_a_story_whose_beginning_was_missed_is_left_to_the_disk() -> None:
    stories = ShortStories()
    stories.add(event(4))

    assert stories.after("t1", 0) == []


def test_a_long_story_is_left_to_the_disk() -> None:
    stories = ShortStories()
    for sequence in range(1, LONGEST_STORY + 2):
        stories.add(event(sequence))

    assert stories.after("t1", 0) == []


def test_a_story_with_pictures_is_left_to_the_disk() -> None:
    stories = ShortStories()
    stories.add(event(1))
    stories.add(event(2, Preview(step=1, image=b"jpeg")))
    stories.add(event(3))

    assert stories.after("t1", 0) == []


def test_only_the_latest_stories_are_kept() -> None:
    stories = ShortStories()
    for number in range(MOST_STORIES + 1):
        stories.add(event(1, task_id=f"t{number}"))

    assert stories.after("t0", 0) == []
    assert stories.after("t1", 0) != []


def test_a_deleted_task_and_its_namesake_share_no_story() -> None:
    stories = ShortStories()
    stories.add(event(1))
    stories.add(event(2))
    stories.remove("t1")
    again = event(1)

    stories.add(again)

    assert stories.after("t1", 0) == [again]
