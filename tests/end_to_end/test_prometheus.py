"""What a real Prometheus makes of the service's metrics, scraped through the gateway."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from telefuser_grpc.client import Client
from telefuser_grpc.domain.task import TaskState
from tests.end_to_end.begun import until_begun
from tests.end_to_end.conftest import PUPPET
from tests.end_to_end.gates import Gate
from tests.fakes.prometheus import Prometheus, binary
from tests.fakes.service import Service

pytestmark = pytest.mark.skipif(binary("prometheus") is None, reason="Prometheus is not installed")

GPU_DRIVER = Path(__file__).parents[1] / "fakes/driver"
MADE, FAILED, CANCELLED = 3, 2, 1
CREATED = MADE + FAILED + CANCELLED


@dataclass
class Day:
    """A service, its Prometheus, and what has been asked of it over REST."""

    service: Service
    prometheus: Prometheus
    client: Client
    http: httpx.Client
    requests: list[str] = field(default_factory=list)

    def create(self, **body: Any) -> str:
        """Creates a task and returns its id."""
        answer = self.request("POST", "/v1/tasks/create", json={"task": "act", **body})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["task_id"])

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Makes a request that counts."""
        self.requests.append(f"{method} {path}")
        return self.http.request(method, path, **options)

    def run(self, **body: Any) -> TaskState:
        """Runs a task to its end."""
        return self.client.wait(self.create(**body)).state


@pytest.fixture(scope="module")
def fresh_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        _gpu(),
        Service(PUPPET, folder) as service,
        Prometheus(folder, target=service.target) as prometheus,
        service.client() as client,
        service.http() as http,
    ):
        prometheus.wait_for_value("telefuser_tasks_created_total", 0)
        yield Day(service, prometheus, client, http)


@contextmanager
def _gpu() -> Iterator[None]:
    """Gives a machine that has none a GPU, for processes that are started inside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(GPU_DRIVER), prepend=os.pathsep)
        yield


@pytest.fixture(scope="module")
def day(fresh_day: Day) -> Day:
    """A service that has made, failed and cancelled tasks, and refused one."""
    day = fresh_day
    made = [day.run(steps=2, step_seconds=0.05) for _ in range(MADE)]
    failed = [day.run(prompt="raise") for _ in range(FAILED)]
    with Gate(day.service.folder / "gate") as gate:
        stopped = day.create(gate=str(gate))
        until_begun(day.client, stopped)
        gate.wait_for_visitor()
        day.request("DELETE", f"/v1/tasks/{stopped}")
    cancelled = day.client.wait(stopped).state
    assert day.request("POST", "/v1/tasks/create", json={"task": "vsr"}).status_code == 400

    assert {*made} == {TaskState.COMPLETED}
    assert {*failed} == {TaskState.FAILED}
    assert cancelled is TaskState.CANCELLED
    return day


def test_service_is_up_and_says_its_version(day: Day) -> None:
    day.prometheus.wait_for_value("up", 1)

    assert list(day.prometheus.query("telefuser_service_info").values()) == [1]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("telefuser_tasks_created_total", CREATED),
        ("telefuser_tasks_completed_total", MADE),
        ("telefuser_tasks_failed_total", FAILED),
        ("telefuser_tasks_cancelled_total", CANCELLED),
        ('telefuser_tasks_total{task="act",status="pending"}', CREATED),
        ('telefuser_tasks_total{task="act",status="processing"}', CREATED),
        ('telefuser_tasks_total{task="act",status="completed"}', MADE),
        ("telefuser_task_duration_seconds_count", MADE),
        ("telefuser_task_queue_wait_seconds_count", CREATED),
        ("telefuser_stage_denoising_total", MADE + FAILED),
        ("telefuser_stage_denoising_errors_total", FAILED),
        ("telefuser_stage_denoising_duration_seconds_count", MADE + FAILED),
    ],
)
def test_counts_are_what_was_done(day: Day, name: str, count: int) -> None:
    day.prometheus.wait_for_value(name, count)


def test_requests_are_counted_and_probes_and_scrapes_are_not(day: Day) -> None:
    for path in ("health", "ready", "metrics", "metrics/json"):
        day.http.get(f"/v1/service/{path}")
    day.request("GET", "/v1/tasks/missing/status")

    day.prometheus.wait_for_value("telefuser_http_requests_total", len(day.requests))
    day.prometheus.wait_for_value(
        "telefuser_http_request_duration_seconds_count", len(day.requests)
    )
    day.prometheus.wait_for_value("telefuser_http_requests_inflight", 0)


def test_rpcs_are_counted_by_method_and_status(day: Day) -> None:
    method = "/telefuser.rest.v1.RestTaskService/CreateTask"

    counts = day.prometheus.wait_for(
        f'telefuser_grpc_request_duration_seconds_count{{method="{method}"}}',
        lambda found: len(found) == 2,
    )

    assert counts == {("OK", method): CREATED, ("INVALID_ARGUMENT", method): 1}


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("telefuser_task_duration_seconds", 0.05, 10),
        ("telefuser_task_queue_wait_seconds", 0, 10),
        ("telefuser_http_request_duration_seconds", 0, 10),
        ("telefuser_stage_denoising_duration_seconds", 0, 10),
    ],
)
def test_quantiles_come_out_of_the_histograms(
    day: Day, name: str, least: float, most: float
) -> None:
    (median,) = day.prometheus.wait_for(
        f"histogram_quantile(0.5, {name}_bucket)",
        lambda found: bool(found) and all(value > least for value in found.values()),
    ).values()

    assert least < median < most


def test_buckets_are_cumulative_up_to_all_of_the_tasks(day: Day) -> None:
    day.prometheus.wait_for_value('telefuser_task_duration_seconds_bucket{le="+Inf"}', MADE)

    buckets = day.prometheus.query("telefuser_task_duration_seconds_bucket")

    in_order = [buckets[key] for key in sorted(buckets, key=lambda key: float(key[0]))]
    assert len(in_order) == 20
    assert in_order == sorted(in_order)
    assert in_order[-1] == MADE


def test_queue_and_replica_show_the_moment(day: Day, tmp_path: Path) -> None:
    with Gate(tmp_path / "gate") as gate:
        running = day.create(gate=str(gate), steps=4)
        gate.wait_for_visitor()
        waiting = [day.create() for _ in range(2)]
        day.prometheus.wait_for_value("telefuser_queue_size", 3)
        shown = [
            *day.prometheus.query("telefuser_queue_pending").values(),
            *day.prometheus.query("telefuser_queue_processing").values(),
        ]
        day.prometheus.wait_for_value('telefuser_replica_state{replica="0",state="busy"}', 1)
        day.prometheus.wait_for_value('telefuser_task_progress_ratio{replica="0"}', 0.25)
    for task_id in (running, *waiting):
        day.client.wait(task_id)

    assert shown == [2, 1]
    day.prometheus.wait_for_value("telefuser_queue_size", 0)
    day.prometheus.wait_for_value('telefuser_replica_state{replica="0",state="idle"}', 1)
    day.prometheus.wait_for("telefuser_task_progress_ratio", lambda found: not found)


@pytest.mark.parametrize(
    ("measure", "value"),
    [
        ("memory_used_bytes", 8 * 2**30),
        ("memory_total_bytes", 24 * 2**30),
        ("utilization_ratio", 0.75),
        ("temperature_celsius", 61),
    ],
)
def test_gpu_shows_under_its_documented_name_and_with_a_label(
    day: Day, measure: str, value: float
) -> None:
    day.prometheus.wait_for_value(f"telefuser_gpu_0_{measure}", value)
    day.prometheus.wait_for_value(f'telefuser_gpu_{measure}{{gpu="0"}}', value)


def test_summary_as_json_says_what_prometheus_has_scraped(day: Day) -> None:
    summary = day.http.get("/v1/service/metrics/json").json()

    for name, count in summary["tasks"].items():
        day.prometheus.wait_for_value(f"telefuser_tasks_{name}_total", count)
    assert list(summary) == [
        "uptime_seconds",
        "tasks",
        "queue",
        "metrics_count",
        "registered_stages",
    ]
    assert summary["tasks"]["failed"] == FAILED
    assert summary["queue"] == {"size": 0, "pending": 0, "processing": 0}
    assert summary["registered_stages"] == ["denoising"]


@pytest.mark.skipif(binary("promtool") is None, reason="promtool is not installed")
def test_linter_of_prometheus_finds_nothing(day: Day) -> None:
    page = day.http.get("/v1/service/metrics")

    lint = subprocess.run(
        [str(binary("promtool")), "check", "metrics"],
        input=page.content,
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert (lint.returncode, lint.stdout, lint.stderr) == (0, b"", b"")


def test_restarted_service_counts_anew_and_keeps_its_queue(
    tmp_path: Path, make_gate: Callable[[], Gate]
) -> None:
    gate = make_gate()
    with (
        Service(PUPPET, tmp_path) as service,
        Prometheus(tmp_path, target=service.target) as prometheus,
    ):
        with service.client() as client:
            ids = [client.create("act", parameters={"gate": str(gate)}).id for _ in range(2)]
        prometheus.wait_for_value("telefuser_tasks_created_total", 2)
        service.kill()
        prometheus.wait_for_value("up", 0)
        service.start()
        prometheus.wait_for_value("telefuser_tasks_created_total", 0)
        prometheus.wait_for_value("telefuser_queue_size", 2)
        prometheus.wait_for_value("resets(telefuser_tasks_created_total[5m])", 1)
        gate.open()
        with service.client() as client:
            ended = [client.wait(task_id).state for task_id in ids]
        prometheus.wait_for_value("telefuser_tasks_completed_total", 2)

    assert ended == [TaskState.COMPLETED] * 2


def test_service_without_metrics_has_no_page(tmp_path: Path) -> None:
    with Service(PUPPET, tmp_path, enable_metrics=False) as service, service.http() as http:
        answers = [http.get(f"/v1/service/{path}") for path in ("metrics", "metrics/json")]
        with service.client() as client:
            ended = client.wait(client.create("act").id).state

    assert [answer.status_code for answer in answers] == [404, 404]
    assert all("TELEFUSER_ENABLE_METRICS=true" in answer.json()["detail"] for answer in answers)
    assert ended is TaskState.COMPLETED


def test_stages_and_gpus_that_are_not_wanted_are_not_measured(tmp_path: Path) -> None:
    switches = {"enable_stage_metrics": False, "enable_gpu_metrics": False}
    with _gpu(), Service(PUPPET, tmp_path, **switches) as service:
        with service.client() as client:
            client.wait(client.create("act").id)
        with service.http() as http:
            page = http.get("/v1/service/metrics").text

    assert "telefuser_tasks_completed_total 1\n" in page
    assert "telefuser_stage_" not in page
    assert "telefuser_gpu_" not in page
