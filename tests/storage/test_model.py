"""Random lives: the SQLite store and the one in memory answer alike, whatever is asked."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from telefuser_grpc.domain.task import Preview, Progress, Task, TaskEvent, TaskState
from telefuser_grpc.errors import TaskNotFound, TeleFuserError
from telefuser_grpc.scheduler.ports import StaleAttempt, TaskPage, TaskQuery, TaskStore
from telefuser_grpc.storage.sqlite_tasks import SqliteTaskStore
from tests.fakes.builders import NOW, make_artifact, make_task
from tests.fakes.tasks import MemoryTaskStore

TASK_IDS = ("task_1", "task_2", "task_3")
ENDS = [state for state in TaskState if state.is_terminal]
OUTPUTS = ("a.mp4", "x/a.mp4", "b.mp4")

Store = SqliteTaskStore | MemoryTaskStore

task_ids = st.sampled_from(TASK_IDS)
attempts = st.integers(0, 3)


class StoreModel(RuleBasedStateMachine):
    """Asks both stores the same and compares what they say."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._folder = Path(tempfile.mkdtemp())
        self._model = MemoryTaskStore()
        self._open()

    def teardown(self) -> None:
        self._close()
        self._runner.close()
        shutil.rmtree(self._folder)

    @rule(
        task_id=task_ids,
        kind=st.sampled_from(["t2v", "i2v"]),
        owner=st.sampled_from(["ann", "bob"]),
        request_id=st.sampled_from(["", "", "r"]),
        fingerprint=st.sampled_from(["f", "g"]),
    )
    def create(self, **values: str) -> None:
        task = make_task(values.pop("task_id"), **values)
        self._both(lambda store: store.create(task))

    @rule(
        task_id=task_ids,
        state=st.sampled_from(TaskState),
        attempt=attempts,
        output=st.sampled_from(OUTPUTS),
    )
    def save(self, task_id: str, state: TaskState, attempt: int, output: str) -> None:
        artifacts = (make_artifact(task_id, output),) if state is TaskState.COMPLETED else ()
        task = make_task(task_id, state=state, attempt=attempt, artifacts=artifacts)
        self._both(lambda store: self._save_as_created(store, replace(task, sequence=99)))

    @rule(task_id=task_ids, state=st.sampled_from(TaskState))
    def advance(self, task_id: str, state: TaskState) -> None:
        async def save(store: TaskStore) -> object:
            stored = await store.get(task_id)
            attempt = stored.attempt + (state is TaskState.PROCESSING)
            return await store.save(replace(stored, state=state, attempt=attempt))

        self._both(save)

    @rule(task_id=task_ids, attempt=attempts, step=st.integers(0, 9), preview=st.booleans())
    def append(self, task_id: str, attempt: int, step: int, preview: bool) -> None:
        change = Preview(step=step, image=b"p") if preview else Progress(step=step, steps=9)
        for store in (self._model, self._store):
            store.append(task_id, attempt, change)

    @rule(task_id=task_ids)
    def delete(self, task_id: str) -> None:
        self._both(lambda store: store.delete(task_id))

    @rule(task_id=task_ids, size_bytes=st.integers(0, 3))
    def measure(self, task_id: str, size_bytes: int) -> None:
        self._both(lambda store: store.measure(task_id, size_bytes))

    @rule(states=st.sets(st.sampled_from(ENDS)), bound=st.integers(0, 2))
    def ask_of_ended(self, states: set[TaskState], bound: int) -> None:
        self._both(lambda store: store.oldest_ended(states, limit=2))
        self._both(lambda store: store.largest_ended(states, above_bytes=bound, limit=2))
        self._both(lambda store: store.states(TASK_IDS))

    @rule(owner=st.sampled_from(["ann", "bob"]), fingerprint=st.sampled_from(["f", "g"]))
    def find_request(self, owner: str, fingerprint: str) -> None:
        self._both(lambda store: store.find_request(owner, "r", fingerprint))

    @rule(name=st.sampled_from([*OUTPUTS, "x"]))
    def find_output(self, name: str) -> None:
        self._both(lambda store: store.find_output(name))

    @rule(
        states=st.sets(st.sampled_from(TaskState), max_size=2),
        kinds=st.sets(st.sampled_from(["t2v", "i2v"])),
        owner=st.sampled_from(["", "ann", "bob"]),
    )
    def list_tasks(self, states: set[TaskState], kinds: set[str], owner: str) -> None:
        query = TaskQuery(states=tuple(states), kinds=tuple(kinds), owner=owner, page_size=2)

        async def pages(store: TaskStore) -> object:
            page = await store.list(query)
            rest = TaskPage(tasks=())
            if page.next_page_token:
                rest = await store.list(replace(query, page_token=page.next_page_token))
            return page.tasks, rest.tasks

        self._both(pages)

    @rule(task_id=task_ids, after=st.integers(0, 12))
    def read_story(self, task_id: str, after: int) -> None:
        async def story(store: TaskStore) -> object:
            last = (await store.get(task_id)).sequence
            events: list[TaskEvent] = []
            async with aclosing(store.watch(task_id, after)) as watched:
                while after + len(events) < last:
                    events.append(await anext(watched))
            return events

        self._both(story)

    @rule()
    def restart(self) -> None:
        self._close()
        self._open()

    @invariant()
    def counts_and_queue_agree(self) -> None:
        self._both(lambda store: store.unfinished())
        assert self._store.counts() == self._model.counts()
        assert self._store.ended_bytes() == self._model.ended_bytes()

    async def _save_as_created(self, store: TaskStore, task: Task) -> Task:
        """Saves a made-up task under what a save cannot change of the stored one."""
        stored = await store.get(task.id)
        kept = {name: getattr(stored, name) for name in ("kind", "owner", "request_id")}
        return await store.save(replace(task, fingerprint=stored.fingerprint, **kept))

    def _both(self, ask: Callable[[Store], Awaitable[object]]) -> None:
        expected = self._runner.run(answer(self._model, ask))
        self._runner.run(self._settled())
        assert self._runner.run(answer(self._store, ask)) == expected

    async def _settled(self) -> None:
        """Waits until what was appended is committed, as writes keep their order."""
        try:
            await self._store.delete("task_unknown")
        except TaskNotFound:
            return

    def _open(self) -> None:
        self._store = SqliteTaskStore(self._folder / "tasks.db", clock=lambda: NOW)
        self._runner.run(self._store.__aenter__())

    def _close(self) -> None:
        self._runner.run(self._store.__aexit__(None, None, None))


async def answer(store: Store, ask: Callable[[Store], Awaitable[object]]) -> object:
    """Returns what a store says, or the kind of its refusal."""
    try:
        said = await ask(store)
    except (TeleFuserError, StaleAttempt) as error:
        return type(error)
    return list(said) if isinstance(said, list | tuple) else said


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
