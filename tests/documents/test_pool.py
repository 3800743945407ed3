"""The pipeline pool: replicas on devices of their own, what is told of them, and their deaths."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.documents.samples import json_sample, sample
from tests.documents.serving import Served, await_run, finish, lay_out
from tests.documents.shell import run
from tests.end_to_end.gates import Gate


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two replicas on two GPUs."""
    folder = lay_out(tmp_path_factory.mktemp("pair"))
    with Served(sample("serve-two-replicas"), folder) as served:
        with served.http() as http, two_at_once(http, folder):
            pass  # now both are loaded
        yield served


@contextmanager
def two_at_once(http: httpx.Client, folder: Path) -> Iterator[None]:
    """Keeps two tasks running."""
    with Gate(folder / "first") as first, Gate(folder / "second") as second:
        ids = [create(http, gate=str(each)).json()["task_id"] for each in (first, second)]
        for task_id in ids:
            await_run(http, task_id)
        yield
    for task_id in ids:
        finish(http, task_id)


@pytest.fixture(scope="module")
def http(pair: Served) -> Iterator[httpx.Client]:
    with pair.http() as http:
        yield http


def status(http: httpx.Client) -> dict[str, Any]:
    body: dict[str, Any] = http.get("/v1/service/status").json()
    return body


def create(http: httpx.Client, **body: Any) -> httpx.Response:
    return http.post("/v1/tasks/create", json={"prompt": "p", **body})


def devices_of(pid: int) -> str:
    """Returns which devices a process may see."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(each for each in variables if each.startswith(b"CUDA_VISIBLE_DEVICES")).decode()


def test_status_of_two_replicas_is_the_documented_one(http: httpx.Client) -> None:
    told, documented = status(http), json_sample("pool-status")

    pool = [{name: each[name] for name in ("id", "device_ids", "status")} for each in told["pool"]]
    assert told | documented | {"pool": told["pool"]} == told
    assert pool == documented["pool"]


def test_metadata_of_two_replicas_is_the_documented_one(http: httpx.Client) -> None:
    metadata = http.get("/v1/service/metadata").json()

    assert metadata | json_sample("pool-metadata") == metadata


def test_replica_sees_its_devices_only(http: httpx.Client) -> None:
    pids = [each["pid"] for each in status(http)["pool"]]

    assert [devices_of(pid) for pid in pids] == [f"CUDA_VISIBLE_DEVICES={each}" for each in (0, 1)]


def test_two_replicas_run_two_tasks_at_once(http: httpx.Client, tmp_path: Path) -> None:
    with two_at_once(http, tmp_path):
        told = status(http)

    assert (told["service_status"], told["processing_count"]) == ("busy", 2)
    assert [each["status"] for each in told["pool"]] == ["busy", "busy"]


def test_full_queue_is_503_with_its_limit(http: httpx.Client, gate: Gate) -> None:
    bodies = [{"gate": str(gate)}] * 10
    answers = [create(http, **body) for body in bodies]

    refused = create(http)

    gate.open()
    for answer in answers:
        finish(http, answer.json()["task_id"])
    assert [each.status_code for each in answers] == [200] * 10
    assert refused.status_code == 503
    assert refused.json() == {"detail": "Task queue is full (max 10 tasks)"}


def test_four_replicas_share_eight_devices(tmp_path: Path) -> None:
    with Served(sample("serve-four-replicas"), lay_out(tmp_path)) as served, served.http() as http:
        pool, metadata = status(http)["pool"], http.get("/v1/service/metadata").json()

    assert [each["device_ids"] for each in pool] == [
        ["0", "1"],
        ["2", "3"],
        ["4", "5"],
        ["6", "7"],
    ]
    assert (metadata["parallelism"], metadata["pool"]["num_replicas"]) == (2, 4)


def test_one_replica_is_no_pool(plain_service: Served) -> None:
    with plain_service.http() as http:
        told, metadata = status(http), http.get("/v1/service/metadata").json()

    assert told["execution_mode"] == metadata["execution_mode"] == "serial_single_pipeline"
    assert told["max_concurrent_processing"] == 1
    assert "pool" not in metadata


def test_devices_that_cannot_be_shared_evenly_end_the_start(tmp_path: Path) -> None:
    command = sample("serve-two-replicas").replace("-g 2", "-g 3")

    outcome = run(f"{command} --skip-validation --port 0", lay_out(tmp_path))

    assert outcome.code == 1
    assert "--parallelism (3) must be divisible by --num-replicas (2)" in outcome.stderr


def test_dead_replica_is_left_out_and_the_others_go_on(pair: Served, http: httpx.Client) -> None:
    with Gate(pair.folder / "hold"):  # keeps the next process from being ready
        os.kill(status(http)["pool"][0]["pid"], signal.SIGKILL)
        pair.log.wait_for("replica died")

        told = status(http)
        finish(http, create(http, task_id="elsewhere").json()["task_id"])

    made = http.get("/v1/tasks/elsewhere/status").json()
    assert [each["status"] for each in told["pool"]] == ["dead", "idle"]
    assert told["max_concurrent_processing"] == 1
    assert made["status"] == "completed"


def test_death_of_all_replicas_is_a_critical_error_and_503(
    pair: Served, http: httpx.Client
) -> None:
    (pair.folder / "pipeline.py").write_text("raise RuntimeError('no more')")
    for each in status(http)["pool"]:
        if each["pid"]:
            os.kill(each["pid"], signal.SIGKILL)

    told = pair.log.wait_for("all replicas are dead")
    refused = create(http)

    assert told["level"] == "critical"
    assert refused.status_code == 503
    assert refused.json() == {"detail": "No inference capacity: all pipeline replicas are dead"}
    assert status(http)["max_concurrent_processing"] == 0
