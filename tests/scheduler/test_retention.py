"""How long tasks and files are kept: each knob, and what is never touched."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.errors import StorageFull, TaskNotFound
from telefuser_grpc.media.uploads import LocalUploads
from telefuser_grpc.pipeline.probe import ProbeLimits
from telefuser_grpc.scheduler.ports import EndedTask
from telefuser_grpc.scheduler.retention import Persistence, Retention
from telefuser_grpc.scheduler.room import GuardedInputs, GuardedUploads
from telefuser_grpc.storage.rows import Stored, task_row
from telefuser_grpc.storage.schema import open_for_writing
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from telefuser_grpc.storage.statements import PUT_TASKS
from tests.fakes.artifacts import MemoryMediaInputs
from tests.fakes.builders import NOW, ended, make_task, started
from tests.fakes.media_files import still
from tests.scheduler.household import DAY, HOUR, Household, ago

ENDS = [state for state in TaskState if state.is_terminal]
ACTIVE = [state for state in TaskState if not state.is_terminal]
EPHEMERAL = Persistence.EPHEMERAL


@pytest.fixture
def household() -> Household:
    return Household()


async def four_days(household: Household, **values: Any) -> None:
    """Stores tasks that ended four, three, two days and one day ago."""
    for days in (1, 3, 2, 4):
        await household.task(f"day{days}", finished_at=ago(days * DAY), **values)


def test_defaults_are_the_documented_ones() -> None:
    assert Retention() == Retention(
        keep_count=1000,
        persistence=Persistence("persistent"),
        retention_seconds=604_800,
        tmp_retention_seconds=3600,
        interval_seconds=3600,
        max_total_bytes=0,
        max_task_bytes=0,
        preserve_failed_outputs=False,
        reserve_bytes=0,
    )


async def test_keep_count_drops_the_oldest_ended_tasks_with_their_files(
    household: Household,
) -> None:
    await four_days(household)

    await household.janitor(keep_count=2).hold_bounds()

    assert household.ids() == household.folder_names() == ["day1", "day2"]


async def test_keep_count_does_not_count_active_tasks(household: Household) -> None:
    await four_days(household)
    for state in ACTIVE:
        await household.task(state.value, state)

    await household.janitor(keep_count=4).hold_bounds()

    assert len(household.ids()) == 4 + len(ACTIVE)


async def test_keep_count_is_held_as_soon_as_one_more_ends(household: Household) -> None:
    async with household.janitor(keep_count=1, interval_seconds=10_000):
        await household.task("old", finished_at=ago(DAY))
        watching = [event async for event in household.tasks.watch("old")]
        await household.task("new")

        while "old" in household.ids():
            await household.tasks.changed()

    assert household.ids() == ["new"]
    assert watching[-1].is_last


async def test_ephemeral_tasks_go_at_the_next_pass_and_not_before(household: Household) -> None:
    await four_days(household)
    await household.task("now", finished_at=NOW + timedelta(seconds=1))
    await household.task("running", TaskState.PROCESSING)
    janitor = household.janitor(persistence=EPHEMERAL)

    await janitor.hold_bounds()
    between = household.ids()
    await janitor.run_pass()

    assert len(between) == 6
    assert household.ids() == household.folder_names() == ["running"]


async def test_retention_seconds_count_from_the_end_of_a_task(household: Household) -> None:
    await four_days(household)

    await household.janitor(retention_seconds=3 * 86_400).run_pass()

    assert household.ids() == household.folder_names() == ["day1", "day2", "day3"]


@pytest.mark.parametrize("seconds", [0, 10**15])
async def test_retention_of_0_seconds_or_of_ages_keeps_everything(
    household: Household, seconds: int
) -> None:
    await four_days(household)

    await household.janitor(retention_seconds=seconds).run_pass()

    assert len(household.ids()) == 4


async def test_tmp_retention_takes_scratch_and_part_files_of_ended_tasks(
    household: Household,
) -> None:
    await household.task("done", finished_at=ago(3 * HOUR))
    for age in (1, 3):
        household.folders.write("done", f"inputs/{age}.part", time=ago(age * HOUR))
        household.folders.write("done", f"tmp/{age}/a.mp4", time=ago(age * HOUR))

    await household.janitor(tmp_retention_seconds=7200).run_pass()

    left = ["done/inputs/1.part", "done/inputs/a.png", "done/tmp/1/a.mp4"]
    assert household.folders.paths() == left


async def test_tmp_retention_takes_uploads(household: Household) -> None:
    await household.janitor(tmp_retention_seconds=7200).run_pass()

    assert household.uploads.swept.get_nowait() == ago(2 * HOUR)


async def test_tmp_retention_of_0_keeps_part_files_and_uploads(household: Household) -> None:
    await household.task("done", finished_at=ago(9 * DAY))
    household.folders.write("done", "inputs/a.part", time=ago(9 * DAY))

    await household.janitor(tmp_retention_seconds=0).run_pass()

    assert household.folders.paths() == ["done/inputs/a.part", "done/inputs/a.png"]
    assert household.uploads.swept.empty()


async def test_pass_is_made_at_the_start_and_at_each_interval(household: Household) -> None:
    async with household.janitor(tmp_retention_seconds=1, interval_seconds=0.001):
        for _ in range(3):
            await household.uploads.swept.get()


async def test_interval_makes_no_pass_before_its_end(household: Household) -> None:
    async with household.janitor(tmp_retention_seconds=1, interval_seconds=10_000):
        await household.uploads.swept.get()
        await household.task("done")
        for _ in range(100):
            await asyncio.sleep(0)

    assert household.uploads.swept.empty()


async def test_total_bytes_are_held_by_removing_what_ended_first(household: Household) -> None:
    await four_days(household, size_bytes=100)
    janitor = household.janitor(max_total_bytes=250)

    await janitor.hold_bounds()

    assert household.ids() == household.folder_names() == ["day1", "day2"]
    assert household.tasks.ended_bytes() == 200


async def test_total_bytes_at_the_bound_are_kept(household: Household) -> None:
    await four_days(household, size_bytes=100)

    await household.janitor(max_total_bytes=400).hold_bounds()

    assert len(household.ids()) == 4


async def test_total_bytes_are_held_as_soon_as_a_task_ends(household: Household) -> None:
    async with household.janitor(max_total_bytes=150, interval_seconds=10_000):
        await household.task("old", finished_at=ago(DAY), size_bytes=100)
        await household.task("new", size_bytes=100)

        while "old" in household.ids():
            await household.tasks.changed()

    assert household.ids() == ["new"]


async def test_task_bytes_remove_larger_ended_tasks_alone(household: Household) -> None:
    await household.task("large", size_bytes=101)
    await household.task("small", size_bytes=100)
    await household.task("running", TaskState.PROCESSING, size_bytes=1000)

    await household.janitor(max_task_bytes=100).hold_bounds()

    assert household.ids() == household.folder_names() == ["running", "small"]


async def test_bytes_of_0_are_no_bound_and_nothing_is_measured(household: Household) -> None:
    await four_days(household, size_bytes=2**40)

    await household.janitor(max_total_bytes=0, max_task_bytes=0).run_pass()

    assert len(household.ids()) == 4
    assert len(await household.tasks.unmeasured(limit=9)) == 4


@pytest.mark.parametrize(
    "knob",
    [
        {"keep_count": 0},
        {"persistence": EPHEMERAL},
        {"retention_seconds": 1},
        {"tmp_retention_seconds": 1},
        {"max_total_bytes": 1},
        {"max_task_bytes": 1},
    ],
    ids=lambda knob: next(iter(knob)),
)
async def test_preserving_failed_outputs_protects_failed_tasks(
    household: Household, knob: dict[str, Any]
) -> None:
    paths = ["inputs/a.part", "inputs/a.png", "outputs/videos/a.mp4", "tmp/1/a.mp4"]
    await household.task("failed", TaskState.FAILED, finished_at=ago(DAY), size_bytes=100)
    for path in paths:
        household.folders.write("failed", path, size_bytes=100, time=ago(DAY))
    await household.task("done", finished_at=ago(DAY), size_bytes=100)
    household.folders.write("done", "inputs/a.part", time=ago(DAY))
    before = household.folders.paths()

    await household.janitor(preserve_failed_outputs=True, **knob).run_pass()

    assert [path for path in household.folders.paths() if path.startswith("failed")] == [
        f"failed/{path}" for path in paths
    ]
    assert household.folders.paths() != before


async def test_protected_tasks_take_nobodys_place_in_the_count(household: Household) -> None:
    for number in range(5):
        await household.task(f"failed{number}", TaskState.FAILED)
    await household.task("done", finished_at=ago(DAY))

    await household.janitor(keep_count=1, preserve_failed_outputs=True).hold_bounds()

    assert len(household.ids()) == 6


async def test_reserve_is_freed_by_removing_what_ended_first(household: Household) -> None:
    await four_days(household, size_bytes=100)
    household.folders.capacity = 500

    await household.janitor(reserve_bytes=250).hold_bounds()

    assert household.ids() == household.folder_names() == ["day1", "day2"]


async def test_new_task_is_let_in_when_removing_makes_room(household: Household) -> None:
    await four_days(household, size_bytes=100)
    household.folders.capacity = 500
    inputs = MemoryMediaInputs()

    await GuardedInputs(inputs, household.janitor(reserve_bytes=101)).take("task_1", {}, limits={})

    assert inputs.taken == ["task_1"]
    assert household.ids() == ["day1", "day2", "day3"]


async def test_new_task_is_refused_below_the_reserve_and_leaves_nothing(
    household: Household,
) -> None:
    await household.task("done")
    await household.task("running", TaskState.PROCESSING)
    household.folders.other_bytes = household.folders.capacity
    inputs = MemoryMediaInputs()

    with pytest.raises(StorageFull):
        await GuardedInputs(inputs, household.janitor(reserve_bytes=1)).take(
            "task_1", {}, limits={}
        )

    assert inputs.taken == []
    assert household.ids() == ["running"]


async def test_upload_is_let_in_when_removing_makes_room(
    household: Household, tmp_path: Path
) -> None:
    await four_days(household, size_bytes=100)
    household.folders.capacity = 500
    uploads = LocalUploads(tmp_path, max_bytes=2**20, limits=ProbeLimits())
    guarded = GuardedUploads(uploads, household.janitor(reserve_bytes=101))

    async with guarded.receive(field="mask") as sink:
        await sink.write(still())
        upload = await sink.finish()

    assert uploads.read(upload.id) == upload
    assert household.ids() == ["day1", "day2", "day3"]


async def test_upload_is_refused_below_the_reserve_before_anything_is_written(
    household: Household, tmp_path: Path
) -> None:
    household.folders.other_bytes = household.folders.capacity
    uploads = LocalUploads(tmp_path, max_bytes=2**20, limits=ProbeLimits())

    with pytest.raises(StorageFull):
        async with GuardedUploads(uploads, household.janitor(reserve_bytes=1)).receive():
            pytest.fail("the block was entered")

    assert list(tmp_path.iterdir()) == []


async def test_upload_is_discarded_through_the_guard_whatever_room_there_is(
    household: Household, tmp_path: Path
) -> None:
    uploads = LocalUploads(tmp_path, max_bytes=2**20, limits=ProbeLimits())
    guarded = GuardedUploads(uploads, household.janitor(reserve_bytes=1))
    async with guarded.receive() as sink:
        await sink.write(still())
        upload = await sink.finish()
    household.folders.other_bytes = household.folders.capacity

    await guarded.discard(upload.id)

    assert list((tmp_path / "uploads").iterdir()) == []


async def test_reserve_of_0_removes_and_refuses_nothing(household: Household) -> None:
    await household.task("done")
    household.folders.other_bytes = household.folders.capacity
    janitor = household.janitor(reserve_bytes=0)

    await janitor.run_pass()
    await janitor.make_way("task_1")

    assert household.ids() == ["done"]


async def test_inputs_of_a_refused_task_are_dropped_through_the_guard(household: Household) -> None:
    inputs = MemoryMediaInputs()

    await GuardedInputs(inputs, household.janitor()).drop("task_1")

    assert inputs.dropped == ["task_1"]


async def test_folders_without_a_task_are_swept_at_once_after_a_restart(
    household: Household,
) -> None:
    household.folders.write("orphan", "inputs/a.png", time=ago(timedelta(seconds=1)))
    household.folders.write("being_admitted", "inputs/a.png", time=NOW)

    await household.janitor().run_pass()

    assert household.folder_names() == ["being_admitted"]


async def test_folder_without_a_task_is_left_while_it_may_be_admitted(household: Household) -> None:
    janitor = household.janitor()
    household.folders.write("forgotten", "inputs/a.png", time=household.now)

    household.now += HOUR
    await janitor.run_pass()
    at_the_hour = household.folder_names()
    household.now += timedelta(seconds=1)
    await janitor.run_pass()

    assert at_the_hour == ["forgotten"]
    assert household.folder_names() == []


@pytest.mark.parametrize("state", TaskState)
async def test_outputs_of_an_interrupted_completion_are_swept_once_the_task_has_ended(
    household: Household, state: TaskState
) -> None:
    await household.task("task_1", state, finished_at=ago(HOUR))
    household.folders.write("task_1", "outputs/videos/a.mp4", time=ago(HOUR))

    await household.janitor().run_pass()

    is_left = "task_1/outputs/videos/a.mp4" in household.folders.paths()
    assert is_left == (state not in (TaskState.FAILED, TaskState.CANCELLED))
    assert "task_1/inputs/a.png" in household.folders.paths()


@pytest.mark.parametrize("state", ACTIVE)
async def test_active_task_is_never_touched_by_any_knob(
    household: Household, state: TaskState
) -> None:
    await household.task("active", state, finished_at=ago(99 * DAY), size_bytes=100)
    for path in ("inputs/a.part", "tmp/1/a.mp4", "outputs/videos/a.mp4"):
        household.folders.write("active", path, size_bytes=100, time=ago(99 * DAY))
    before = household.folders.paths()
    household.folders.capacity = 0
    janitor = household.janitor(
        keep_count=0,
        persistence=EPHEMERAL,
        tmp_retention_seconds=1,
        max_total_bytes=1,
        max_task_bytes=1,
        reserve_bytes=1,
    )

    await janitor.run_pass()

    assert household.ids() == ["active"]
    assert household.folders.paths() == before


Lives = list[tuple[TaskState, int, int]]  # state, hours since the end, bytes

lives = st.lists(
    st.tuples(st.sampled_from(TaskState), st.integers(0, 9), st.integers(0, 50)), max_size=12
)
knobs = st.fixed_dictionaries(
    {
        "keep_count": st.integers(0, 12),
        "persistence": st.sampled_from(Persistence),
        "retention_seconds": st.sampled_from([0, 3600, 5 * 3600]),
        "max_total_bytes": st.integers(0, 200),
        "max_task_bytes": st.integers(0, 50),
        "preserve_failed_outputs": st.booleans(),
        "reserve_bytes": st.integers(0, 200),
    }
)


def survivors(lives: Lives, retention: Retention, capacity: int) -> set[int]:
    """Returns who is left of tasks by their number: the documented rules, one after the other."""
    left = dict(enumerate(lives))

    def removable() -> list[int]:
        return [each for each in oldest_first if each in left]

    protected = {TaskState.FAILED} if retention.preserve_failed_outputs else set()
    ended = [number for number, (state, *_) in left.items() if state.is_terminal]
    oldest_first = sorted(
        (number for number in ended if left[number][0] not in protected),
        key=lambda number: (-left[number][1], number),
    )
    for number in removable():
        seconds = left[number][1] * 3600
        is_old = 0 < retention.retention_seconds < seconds
        if is_old or retention.persistence is EPHEMERAL:
            del left[number]
    for number in removable()[: max(0, len(removable()) - retention.keep_count)]:
        del left[number]
    for number in removable():
        if 0 < retention.max_task_bytes < left[number][2]:
            del left[number]
    for number in removable():
        total = sum(left[each][2] for each in ended if each in left)
        if 0 < retention.max_total_bytes < total:
            del left[number]
    for number in removable():
        free = capacity - sum(size_bytes for *_, size_bytes in left.values())
        if retention.reserve_bytes and free < retention.reserve_bytes:
            del left[number]
    return set(left)


@given(lives=lives, knobs=knobs, capacity=st.integers(0, 700))
@settings(max_examples=300, deadline=None)
def test_pass_removes_what_the_rules_say_and_never_an_active_task(
    lives: Lives, knobs: dict[str, Any], capacity: int
) -> None:
    retention = Retention(**knobs)

    async def left() -> set[int]:
        household = Household()
        household.folders.capacity = capacity
        for number, (state, hours, size_bytes) in enumerate(lives):
            time = ago(hours * HOUR)
            await household.task(str(number), state, finished_at=time, size_bytes=size_bytes)
        await household.janitor(**knobs).run_pass()
        assert {int(name) for name in household.folder_names()} <= set(map(int, household.ids()))
        return set(map(int, household.ids()))

    remaining = asyncio.run(left())

    assert remaining == survivors(lives, retention, capacity)
    active = {number for number, (state, *_) in enumerate(lives) if not state.is_terminal}
    assert active <= remaining


async def test_removed_task_is_as_unknown_to_watchers(household: Household) -> None:
    await household.task("done", finished_at=ago(DAY))
    live = household.tasks.watch("done")
    await anext(live)

    await household.janitor(keep_count=0).hold_bounds()

    async with asyncio.timeout(5):
        rest = [event async for event in live]
    assert all(event.sequence > 1 for event in rest)
    with pytest.raises(TaskNotFound):
        await anext(household.tasks.watch("done"))


async def test_task_is_gone_before_its_folder(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    await household.task("done", finished_at=ago(DAY))
    seen: list[list[str]] = []

    async def delete(task_id: str) -> None:
        seen.append(household.ids())

    monkeypatch.setattr(household.folders, "delete", delete)
    await household.janitor(keep_count=0).hold_bounds()

    assert seen == [[]]


async def test_folder_that_a_crash_has_left_goes_at_the_next_start(
    household: Household,
) -> None:
    await household.task("done", finished_at=ago(DAY))
    await household.tasks.delete("done")  # and then the server dies

    async with household.janitor(tmp_retention_seconds=1):
        await household.uploads.swept.get()

    assert household.folder_names() == []


async def test_name_of_a_task_that_leaves_is_taken_only_when_its_folder_is_gone(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    await household.task("task_1", finished_at=ago(DAY))
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def delete(task_id: str) -> None:
        entered.set()
        await go_on.wait()

    monkeypatch.setattr(household.folders, "delete", delete)
    janitor, inputs = household.janitor(keep_count=0), MemoryMediaInputs()
    removing = asyncio.create_task(janitor.hold_bounds())
    await entered.wait()

    taking = asyncio.create_task(GuardedInputs(inputs, janitor).take("task_1", {}, limits={}))
    await GuardedInputs(inputs, janitor).take("task_2", {}, limits={})
    taken_meanwhile = list(inputs.taken)
    go_on.set()
    await taking
    await removing

    assert taken_meanwhile == ["task_2"]
    assert inputs.taken == ["task_2", "task_1"]


async def test_task_that_has_taken_the_name_of_a_deleted_one_meanwhile_is_left_alone(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    await household.task("done", finished_at=ago(DAY))
    told = list(await household.tasks.oldest_ended(ENDS, limit=9))
    await household.tasks.delete("done")
    await household.task("done", TaskState.PROCESSING)

    async def tell_late(*_: object, **__: object) -> Sequence[EndedTask]:
        return [told.pop()] if told else []

    monkeypatch.setattr(household.tasks, "oldest_ended", tell_late)
    await household.janitor(retention_seconds=1).run_pass()

    assert told == []
    assert household.ids() == household.folder_names() == ["done"]


async def test_full_disk_delays_the_removal_to_a_later_pass(household: Household) -> None:
    await household.task("done", finished_at=ago(DAY))
    janitor = household.janitor(retention_seconds=1)
    household.tasks.full = True

    await janitor.run_pass()
    meanwhile = household.ids()
    household.tasks.full = False
    await janitor.run_pass()

    assert meanwhile == ["done"]
    assert household.ids() == household.folder_names() == []


async def test_step_that_fails_keeps_no_other_from_its_work(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    await household.task("done", finished_at=ago(DAY))

    async def fail() -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(household.folders, "finish_removals", fail)
    await household.janitor(retention_seconds=1).run_pass()

    assert household.ids() == household.folder_names() == []


class ObservedStore(SqliteTaskStore):
    """Counts what is asked at once, and at which turn of the event loop."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.turn = 0
        self.turns: list[int] = []
        self.most_deletions = 0
        self._deletions = 0

    async def oldest_ended(
        self, states: Collection[TaskState], *, before: datetime | None = None, limit: int
    ) -> Sequence[EndedTask]:
        self.turns.append(self.turn)
        return await super().oldest_ended(states, before=before, limit=limit)

    async def delete(self, task_id: str) -> Task:
        self._deletions += 1
        self.most_deletions = max(self.most_deletions, self._deletions)
        try:
            return await super().delete(task_id)
        finally:
            self._deletions -= 1


def fill(path: Path, count: int) -> None:
    """Makes a database of ended tasks."""
    ends = (ended(started(make_task())) for _ in range(count))
    rows = [task_row(Stored(ordinal, task)) for ordinal, task in enumerate(ends, 1)]
    with closing(open_for_writing(path)) as database, database:
        database.execute("BEGIN")
        database.executemany(PUT_TASKS.format(rows="(?, ?, ?, ?, ?, ?, ?, ?)"), rows)


async def test_ten_thousand_ended_tasks_are_removed_in_small_steps(
    household: Household, tmp_path: Path
) -> None:
    total, at_once = 10_000, 32
    fill(tmp_path / "tasks.db", total)
    async with ObservedStore(tmp_path / "tasks.db") as store:
        passing = asyncio.create_task(
            household.janitor(tasks=store, persistence=EPHEMERAL).run_pass()
        )

        while not passing.done():
            store.turn += 1
            await asyncio.sleep(0)

        assert sum(store.counts().values()) == 0
    assert store.most_deletions == at_once
    assert len(store.turns) == -(-total // at_once) + 1
    assert len(set(store.turns)) == len(store.turns)  # others had their turn between any two steps


async def test_pass_over_ten_thousand_kept_tasks_asks_a_few_questions(
    household: Household, tmp_path: Path
) -> None:
    fill(tmp_path / "tasks.db", 10_000)
    async with ObservedStore(tmp_path / "tasks.db") as store:
        await household.janitor(tasks=store, retention_seconds=10**9).run_pass()

        assert sum(store.counts().values()) == 10_000
    assert len(store.turns) == 1
