"""A pool of replicas as its operator sees it: two groups of devices, deaths, and the last death.

The tests tell one story of one service, in their order.
"""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.begun import until_begun_by_rest
from tests.end_to_end.conftest import HERE
from tests.end_to_end.gates import Gate
from tests.fakes.service import Deaths, Service

MakeGate = Callable[[], Gate]
LOST = "No inference capacity: all pipeline replicas are dead"
DOCUMENTED = ("id", "device_ids", "status")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Path:
    door = tmp_path_factory.mktemp("door") / "door"
    door.write_text("open")
    return door


@pytest.fixture(scope="module")
def service(door: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"parallelism": 4, "num_replicas": 2, "max_queue_size": 4, "cancel_timeout": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-5f,MIG-6a,7,8")
        patch.setenv("TEST_DOOR", str(door))
        pipeline = HERE / "mortal_pipeline.py"
        with Service(pipeline, tmp_path_factory.mktemp("pool"), **settings) as service:
            yield service


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.http() as http:
        yield http


def create(http: httpx.Client, prompt: str = "p", **fields: object) -> str:
    answer = http.post("/v1/tasks/create", json={"task": "t2v", "prompt": prompt, **fields})
    assert answer.status_code == 200, answer.text
    task_id: str = answer.json()["task_id"]
    return task_id


def ended(http: httpx.Client, task_id: str) -> Any:
    """Waits for the end of a task on its events and returns its status."""
    assert http.get(f"/v1/tasks/{task_id}/events").status_code == 200
    return http.get(f"/v1/tasks/{task_id}/status").json()


def told(http: httpx.Client, what: str) -> Any:
    return http.get(f"/v1/service/{what}").json()


def pool(http: httpx.Client) -> list[dict[str, Any]]:
    return [{key: each[key] for key in DOCUMENTED} for each in told(http, "status")["pool"]]


def kill(service: Service, *names: str) -> None:
    children = service.children()
    with Deaths([children[name] for name in names]) as deaths:
        for name in names:
            os.kill(children[name], signal.SIGKILL)
        deaths.wait()


def test_the_status_shows_the_documented_pool(http: httpx.Client) -> None:
    status = told(http, "status")

    assert status["service_status"] == "idle"
    assert status["processing_count"] == 0
    assert status["max_concurrent_processing"] == 2
    assert status["execution_mode"] == "concurrent_pipeline_pool"
    assert pool(http) == [
        {"id": 0, "device_ids": ["4", "GPU-5f"], "status": "idle"},
        {"id": 1, "device_ids": ["MIG-6a", "7"], "status": "idle"},
    ]


def test_the_metadata_show_the_documented_pool(http: httpx.Client) -> None:
    metadata = told(http, "metadata")

    assert metadata["pool"] == {
        "num_replicas": 2,
        "live_replicas": 2,
        "replica_device_ids": [["4", "GPU-5f"], ["MIG-6a", "7"]],
        "per_instance_execution_mode": "serial_single_pipeline",
    }
    assert metadata["execution_mode"] == "concurrent_pipeline_pool"
    assert metadata["effective_max_concurrent_tasks"] == 2
    assert metadata["service_effective_max_concurrent_tasks"] == 2
    assert metadata["parallelism"] == 2


def test_each_replica_sees_its_own_devices_and_is_told_how_many(http: httpx.Client) -> None:
    errors = {ended(http, create(http, "devices"))["error"] for _ in range(2)}

    assert errors == {"ValueError: 4,GPU-5f of 2", "ValueError: MIG-6a,7 of 2"}


def test_both_replicas_work_at_once_and_a_full_queue_is_503(
    http: httpx.Client, make_gate: MakeGate
) -> None:
    gates = [make_gate(), make_gate()]
    tasks = [create(http, gate=str(gate)) for gate in gates]
    until_begun_by_rest(http, *tasks)
    busy = told(http, "status")
    tasks += [create(http) for _ in range(2)]

    refusal = http.post("/v1/tasks/create", json={"task": "t2v", "prompt": "p"})
    for gate in gates:
        gate.open()

    assert [each["status"] for each in busy["pool"]] == ["busy", "busy"]
    assert (busy["service_status"], busy["processing_count"]) == ("busy", 2)
    assert refusal.status_code == 503
    assert refusal.json()["detail"] == "Task queue is full (max 4 tasks)"
    assert "retry-after" in refusal.headers
    assert {ended(http, task)["status"] for task in tasks} == {"completed"}


def test_a_dead_replica_is_dead_in_the_status_until_its_successor_is_ready(
    service: Service, http: httpx.Client, door: Path
) -> None:
    starts = len(service.log.events("replica started"))
    door.unlink()
    gate = Gate(door)

    kill(service, "replica 1")
    service.log.wait_for("replica started", count=starts + 1)
    gate.wait_for_visitor()
    shrunk, metadata = told(http, "status"), told(http, "metadata")
    still_works = ended(http, create(http))
    gate.open()
    while pool(http)[1]["status"] == "dead":
        ended(http, create(http))

    assert [each["status"] for each in shrunk["pool"]] == ["idle", "dead"]
    assert shrunk["max_concurrent_processing"] == 1
    assert metadata["pool"]["live_replicas"] == 1
    assert metadata["effective_max_concurrent_tasks"] == 1
    assert still_works["status"] == "completed"
    assert told(http, "status")["max_concurrent_processing"] == 2


def test_when_the_last_replica_is_dead_waiting_tasks_fail_and_new_ones_are_503(
    service: Service, http: httpx.Client, door: Path, make_gate: MakeGate
) -> None:
    gates = [make_gate(), make_gate()]
    tasks = [create(http, gate=str(gate)) for gate in gates]
    for gate in gates:
        gate.wait_for_visitor()
    tasks.append(create(http))
    door.write_text("shut")

    kill(service, "replica 0", "replica 1")
    loss = service.log.wait_for("all replicas are dead")
    ends = [ended(http, task) for task in tasks]
    refusal = http.post("/v1/tasks/create", json={"task": "t2v", "prompt": "p"})

    assert loss["level"] == "critical"
    assert "the weights are gone" in loss["why"]
    assert [(each["status"], each["error"]) for each in ends] == [("failed", LOST)] * 3
    assert (refusal.status_code, refusal.json()["detail"]) == (503, LOST)
    assert len(service.log.events("all replicas are dead")) == 1


def test_a_service_without_replicas_lives_and_says_that_it_is_not_ready(
    http: httpx.Client,
) -> None:
    status = told(http, "status")

    assert [each["status"] for each in status["pool"]] == ["dead", "dead"]
    assert status["max_concurrent_processing"] == 0
    assert http.get("/v1/service/health").status_code == 200
    assert http.get("/v1/service/ready").status_code == 503
