"""Metrics: the documented page and its summary, of a service with a GPU."""

import re
from collections.abc import Callable

import httpx
import pytest

from tests.documents.samples import differences, json_sample, sample
from tests.documents.serving import await_run, finish
from tests.documents.shell import Outcome
from tests.end_to_end.gates import Gate

Ask = Callable[[str], Outcome]

METRICS = {
    "tasks_created_total": "counter",
    "tasks_completed_total": "counter",
    "tasks_failed_total": "counter",
    "tasks_cancelled_total": "counter",
    "task_duration_seconds": "histogram",
    "queue_size": "gauge",
    "queue_pending": "gauge",
    "queue_processing": "gauge",
    "gpu_0_memory_used_bytes": "gauge",
    "gpu_0_utilization_ratio": "gauge",
}


@pytest.fixture(scope="module", autouse=True)
def finished(http: httpx.Client) -> None:
    """One task of two stages, completed."""
    answer = http.post("/v1/tasks/create", json={"prompt": "p"})
    finish(http, answer.json()["task_id"])


def test_page_has_every_documented_line_but_the_counts(ask: Ask) -> None:
    answer = ask("get-metrics")

    documented = [line for line in sample("metrics").splitlines() if line and line != "..."]
    assert answer.http_status == 200
    assert answer.content_type.startswith("text/plain")
    for line in documented:
        assert re.search(pattern_of(line), answer.stdout, re.MULTILINE), line


def pattern_of(line: str) -> str:
    """Returns what matches a documented line: comments as they are, series with any count."""
    if line.startswith("#"):
        return f"^{re.escape(line)}$"
    series, _, _ = line.partition(" ")
    return rf"^{re.escape(series)} \d+$"


def test_page_tells_the_memory_that_the_driver_tells(ask: Ask) -> None:
    documented = sample("metrics").splitlines()[-1]

    assert documented in ask("get-metrics").stdout.splitlines()


@pytest.mark.parametrize(("name", "kind"), METRICS.items())
def test_metric_of_the_table_is_on_the_page(http: httpx.Client, name: str, kind: str) -> None:
    page = http.get("/v1/service/metrics").text

    assert f"# TYPE telefuser_{name} {kind}\n" in page
    assert re.search(rf"^telefuser_{name}(_count)? [\d.e+]+$", page, re.MULTILINE)


def test_summary_is_the_documented_one(ask: Ask) -> None:
    answer = ask("get-metrics-json")

    documented = json_sample("metrics-json")
    assert answer.http_status == 200
    assert differences(answer.json, documented) == []
    assert list(answer.json) == list(documented)
    assert isinstance(answer.json["uptime_seconds"], int)
    assert answer.json["registered_stages"] == documented["registered_stages"]


def test_page_and_summary_count_the_same(http: httpx.Client) -> None:
    page = http.get("/v1/service/metrics").text
    summary = http.get("/v1/service/metrics/json").json()

    for name, count in summary["tasks"].items():
        assert f"\ntelefuser_tasks_{name}_total {count}\n" in page
    assert summary["tasks"]["created"] > 0


def test_size_of_the_queue_is_what_waits_and_runs(http: httpx.Client, gate: Gate) -> None:
    bodies = [{"prompt": "p", "gate": str(gate)}] * 3
    ids = [http.post("/v1/tasks/create", json=body).json()["task_id"] for body in bodies]
    await_run(http, ids[0])

    queue = http.get("/v1/service/metrics/json").json()["queue"]

    gate.open()
    for task_id in ids:
        finish(http, task_id)
    assert queue == {"size": 3, "pending": 2, "processing": 1}
