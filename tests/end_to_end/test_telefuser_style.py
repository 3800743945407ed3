"""A TeleFuser pipeline file on a diffusers pipeline is served unchanged."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from telefuser_grpc.client import Client
from telefuser_grpc.domain.task import Progress, TaskState
from telefuser_grpc.pipeline.probe import OUTPUT_LIMITS, probe
from tests.end_to_end.conftest import HERE
from tests.end_to_end.stories import words
from tests.fakes.service import Service

pytest.importorskip("diffusers")

FILE = HERE / "telefuser_style.py"
ENDLESS = 1000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(FILE, tmp_path_factory.mktemp("telefuser_style")) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with service.client() as client:
        yield client


def test_file_knows_nothing_of_us() -> None:
    assert "telefuser_grpc" not in FILE.read_text()


def test_log_of_the_start_sums_up_the_contract_and_each_task(service: Service) -> None:
    lines = [line for line in service.log.text.splitlines() if "startup summary" in line]

    titles = [json.loads(line)["event"].partition(": {")[0] for line in lines]
    assert titles == ["Pipeline contract startup summary", "Pipeline task startup summary"]
    assert all("/v1/service/metadata" in line for line in lines)


def test_steps_are_told_and_the_file_arrives(client: Client, tmp_path: Path) -> None:
    task = client.create("t2v", "p", parameters={"target_video_length": 2})

    changes = [event.change for event in client.watch(task.id, previews=False)]
    done = client.get(task.id)
    file = client.download(done.artifacts[0].id, tmp_path)

    steps = [(each.step, each.steps) for each in changes if isinstance(each, Progress)]
    assert steps == [(step, 6) for step in range(1, 7)]
    assert done.state is TaskState.COMPLETED
    facts = probe(file, limits=OUTPUT_LIMITS)
    assert (facts.width, facts.height, facts.frame_count) == (32, 32, 8)


def test_cancel_stops_the_steps(client: Client) -> None:
    task = client.create("t2v", "p", parameters={"num_inference_steps": ENDLESS})
    events = client.watch(task.id, previews=False)
    seen = [next(events) for _ in range(4)]
    replica = client.status().replicas[0].pid

    client.cancel(task.id)
    seen += events

    told = words(seen)
    assert told[-1] is TaskState.CANCELLED
    assert len(told[told.index(TaskState.CANCELLING) :]) <= 3
    assert client.status().replicas[0].pid == replica


def test_same_seed_gives_the_same_film(client: Client) -> None:
    films = [client.wait(client.create("t2v", "p", seed=7).id) for _ in range(2)]

    assert films[0].artifacts[0].sha256 == films[1].artifacts[0].sha256


def test_same_request_gives_the_same_film_over_every_interface(
    service: Service, client: Client
) -> None:
    with service.http() as http:
        answer = http.post("/v1/tasks/create", json={"task": "t2v", "prompt": "p"}).json()

    films = [client.wait(each) for each in (answer["task_id"], client.create("t2v", "p").id)]

    assert films[0].artifacts[0].facts.frame_count == 20  # five seconds, which nobody has asked for
    assert films[0].artifacts[0].sha256 == films[1].artifacts[0].sha256
