"""Compatible tasks are made together, and nobody can tell but by the time it takes.

The tests tell one story of one service, in their order.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from telefuser_grpc.client import Client
from telefuser_grpc.domain.batching import Batching
from telefuser_grpc.domain.task import Task, TaskState
from tests.end_to_end.conftest import TINY
from tests.end_to_end.gates import Gate
from tests.end_to_end.stories import is_gapless, words
from tests.fakes.service import Deaths, Service

pytest.importorskip("torch")

MakeGate = Callable[[], Gate]
COMPLETED = TaskState.COMPLETED
SEEDS = range(8)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("batching")
    settings = {"gateway": False, "max_queue_size": 20}
    with Service(TINY / "batching_pipeline.py", folder, **settings) as service:
        yield service


@dataclass(frozen=True, slots=True)
class Studio:
    """Orders pictures of one service, whose pipeline logs what it draws together."""

    client: Client
    folder: Path

    def order(self, *, seed: int = 0, prompt: str = "", **parameters: Any) -> Task:
        log = {"log": str(self.folder / "log")}
        return self.client.create("t2i", prompt, seed=seed, parameters=log | parameters)

    def order_together(self, gate: Gate, orders: list[dict[str, Any]]) -> list[Task]:
        """Orders at the same time, while another task holds the replica."""
        self.order(steps=1, gate=str(gate))
        gate.wait_for_visitor()
        with ThreadPoolExecutor(len(orders)) as threads:
            tasks = list(threads.map(lambda each: self.order(**each), orders))
        gate.open()
        return tasks

    def batches(self) -> list[list[str]]:
        """Returns the ids of the tasks of each call of the pipeline."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def picture(self, task: Task) -> Any:
        path = self.folder / f"{task.id}.png"
        done = self.client.get(task.id)
        return np.asarray(Image.open(self.client.download(done.artifacts[0].id, path)), dtype=int)


@pytest.fixture(scope="module")
def studio(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with service.client() as client:
        yield Studio(client, tmp_path_factory.mktemp("pictures"))


def test_the_contract_tells_what_is_batched(studio: Studio) -> None:
    contract = studio.client.metadata().contract

    assert contract.tasks["t2i"].batching == Batching(keys=("steps",), max_size=4)


def test_concurrent_tasks_are_batched_and_drawn_as_if_alone(studio: Studio, gate: Gate) -> None:
    alone = [studio.client.wait(studio.order(seed=seed).id) for seed in SEEDS[:2]]

    tasks = studio.order_together(gate, [{"seed": seed} for seed in SEEDS])
    stories = [list(studio.client.watch(task.id)) for task in tasks]

    ours = {task.id for task in tasks}
    drawn = [len(batch) for batch in studio.batches() if ours.issuperset(batch)]
    assert sum(drawn) == len(SEEDS)
    assert max(drawn) > 1
    expected = [TaskState.PENDING, TaskState.PROCESSING, 1, 2, 3, COMPLETED]
    assert [words(story) for story in stories] == [expected] * len(SEEDS)
    assert all(map(is_gapless, stories))
    for one, other in zip(alone, tasks, strict=False):
        assert abs(studio.picture(one) - studio.picture(other)).max() <= 1
    assert abs(studio.picture(tasks[0]) - studio.picture(tasks[1])).mean() > 20


def test_a_member_is_cancelled_in_the_middle_while_the_other_is_drawn(
    studio: Studio, make_gate: MakeGate
) -> None:
    middle = make_gate()
    tasks = studio.order_together(make_gate(), [{"seed": 1}, {"seed": 2, "gate": str(middle)}])
    middle.wait_for_visitor()

    studio.client.cancel(tasks[1].id)
    cancelled = studio.client.wait(tasks[1].id)
    meanwhile = studio.client.get(tasks[0].id)
    middle.open()

    assert sorted(studio.batches()[-1]) == sorted(task.id for task in tasks)
    assert (cancelled.state, meanwhile.state) == (TaskState.CANCELLED, TaskState.PROCESSING)
    assert studio.client.wait(tasks[0].id).state is COMPLETED


def test_a_member_that_fails_fails_alone(studio: Studio, gate: Gate) -> None:
    tasks = studio.order_together(gate, [{"seed": 1}, {"prompt": "raise"}])

    ends = [studio.client.wait(task.id) for task in tasks]

    assert [len(batch) for batch in studio.batches()[-3:]] == [2, 1, 1]
    assert [each.state for each in ends] == [COMPLETED, TaskState.FAILED]
    assert ends[1].error is not None
    assert ends[1].error.message == "ValueError: cannot draw that"
    assert [each.attempt for each in ends] == [1, 1]


def test_after_kill_9_in_the_middle_every_member_is_drawn_alone(
    service: Service, studio: Studio, make_gate: MakeGate
) -> None:
    middle = make_gate()
    tasks = studio.order_together(make_gate(), [{"seed": 1}, {"seed": 2, "gate": str(middle)}])
    middle.wait_for_visitor()
    replica = service.children()["replica 0"]

    with Deaths([replica]) as deaths:
        os.kill(replica, signal.SIGKILL)
        deaths.wait()
    middle.open()
    ends = [studio.client.wait(task.id) for task in tasks]

    assert [len(batch) for batch in studio.batches()[-3:]] == [2, 1, 1]
    assert [(each.state, each.attempt) for each in ends] == [(COMPLETED, 2)] * 2
