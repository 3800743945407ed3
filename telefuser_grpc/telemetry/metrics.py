"""What is counted and measured, and the page that Prometheus reads."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from telefuser_grpc.domain.replica import ReplicaStatus
from telefuser_grpc.domain.task import Task, TaskState
from telefuser_grpc.telemetry.gauges import LiveGauges, QueueSizes
from telefuser_grpc.telemetry.gpu import GpuReader, no_gpus

HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
TASK_SECONDS = (*HTTP_SECONDS, 30, 60, 120, 300, 600, 1200, 1800, 3600)
ENDS = {
    TaskState.COMPLETED: "Tasks that ended with a result.",
    TaskState.FAILED: "Tasks that ended with an error.",
    TaskState.CANCELLED: "Tasks stopped for their owner.",
}
STAGE_SUFFIXES = ("_errors", "_total", "_created", "_seconds", "_bucket", "_sum", "_count")
STAGES_LIMIT = 32  # pipelines choose the names; a pipeline with endless names must not fill memory


class Metrics:
    """Every metric of the service. Gauges are read from their source when the page is asked for.

    Args:
        counts: Tells how many tasks are in each state.
        replicas: Tells every replica's state.
    """

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(
        self,
        *,
        version: str,
        counts: Callable[[], Mapping[TaskState, int]],
        replicas: Callable[[], Sequence[ReplicaStatus]],
        gpus: GpuReader = no_gpus,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # is without annotations
        self._counts = counts
        self._clock = clock
        self._started = clock()
        self._registry = CollectorRegistry()
        self._registry.register(
            LiveGauges(
                version=version, uptime=self._uptime, counts=counts, replicas=replicas, gpus=gpus
            )
        )
        self._tasks = _TaskMetrics(self._registry)
        self._http = _HttpMetrics(self._registry)
        self._rpcs = Counter(
            "telefuser_grpc_requests",
            "RPCs that have ended, those behind REST requests among them.",
            ["method", "code"],
            registry=self._registry,
        )
        self._stages: dict[str, _StageMetrics] = {}

    def render(self) -> bytes:
        """Returns the page in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)

    def as_json(self) -> dict[str, Any]:
        """Returns the documented summary."""
        queue = QueueSizes.of(self._counts())
        return {
            "uptime_seconds": int(self._uptime()),
            "tasks": self._tasks.totals(),
            "queue": {"size": queue.size, "pending": queue.pending, "processing": queue.processing},
            "metrics_count": sum(1 for _ in self._registry.collect()),
            "registered_stages": sorted(self._stages),
        }

    def task_created(self, task: Task) -> None:
        """Counts a new task."""
        self._tasks.create(task)

    def task_changed(self, task: Task) -> None:
        """Counts a task's new state and measures what it ends."""
        self._tasks.change(task)

    @contextmanager
    def http_request(self) -> Iterator[None]:
        """Counts and measures the REST request that is served inside."""
        began = self._clock()
        with self._http.inflight.track_inprogress():
            try:
                yield
            finally:
                self.observe_http(self._clock() - began)

    def observe_http(self, seconds: float) -> None:
        """Counts a REST request that took so long."""
        self._http.requests.inc()
        self._http.duration.observe(seconds)

    def count_rpc(self, method: str, code: str) -> None:
        """Counts an RPC, by its name and the name of its status."""
        self._rpcs.labels(method, code).inc()

    def observe_stage(self, name: str, seconds: float, *, is_failed: bool = False) -> None:
        """Counts and measures a stage that a pipeline went through."""
        if stage := self._stage(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")):
            stage.observe(seconds, is_failed=is_failed)

    def _stage(self, name: str) -> "_StageMetrics | None":
        has_room = len(self._stages) < STAGES_LIMIT
        if has_room and name and name not in self._stages and not name.endswith(STAGE_SUFFIXES):
            self._stages[name] = _StageMetrics(name, self._registry)
        return self._stages.get(name)

    def _uptime(self) -> float:
        return self._clock() - self._started


class _TaskMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._created = Counter("telefuser_tasks_created", "Tasks admitted.", registry=registry)
        self._ended = {
            state: Counter(f"telefuser_tasks_{state}", text, registry=registry)
            for state, text in ENDS.items()
        }
        self._entered = Counter(
            "telefuser_tasks", "Entries into a state.", ["kind", "state"], registry=None
        )
        registry.register(_Undescribed(self._entered))
        self._duration = Histogram(
            "telefuser_task_duration_seconds",
            "Processing time of completed tasks, in their last attempt.",
            buckets=TASK_SECONDS,
            registry=registry,
        )
        self._queue_wait = Histogram(
            "telefuser_task_queue_wait_seconds",
            "Time from a task's creation to its first start.",
            buckets=TASK_SECONDS,
            registry=registry,
        )

    def create(self, task: Task) -> None:
        self._created.inc()
        self._entered.labels(task.kind, task.state).inc()

    def change(self, task: Task) -> None:
        self._entered.labels(task.kind, task.state).inc()
        if counter := self._ended.get(task.state):
            counter.inc()
        if task.started_at is None:
            return
        if task.state is TaskState.PROCESSING and task.attempt == 1:
            self._queue_wait.observe((task.started_at - task.created_at).total_seconds())
        if task.state is TaskState.COMPLETED and task.finished_at:
            self._duration.observe((task.finished_at - task.started_at).total_seconds())

    def totals(self) -> dict[str, int]:
        ended = {state.value: _value(counter) for state, counter in self._ended.items()}
        return {"created": _value(self._created), **ended}


class _Undescribed:
    """Hides a metric's name, where the registry wrongly sees a clash.

    It takes `tasks_created` for the creation time of `tasks`, which is never shown.
    """

    def __init__(self, metric: Counter) -> None:
        self.collect = metric.collect


class _HttpMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "telefuser_http_requests", "REST requests that have ended.", registry=registry
        )
        self.duration = Histogram(
            "telefuser_http_request_duration_seconds",
            "Time to answer a REST request.",
            buckets=HTTP_SECONDS,
            registry=registry,
        )
        self.inflight = Gauge(
            "telefuser_http_requests_inflight", "REST requests being served.", registry=registry
        )


class _StageMetrics:
    """The metrics of one stage, which has its name in theirs."""

    def __init__(self, name: str, registry: CollectorRegistry) -> None:
        prefix = f"telefuser_stage_{name}"
        self._runs = Counter(prefix, f"Runs of the stage {name}.", registry=registry)
        self._errors = Counter(
            f"{prefix}_errors", f"Runs that failed in the stage {name}.", registry=registry
        )
        self._duration = Histogram(
            f"{prefix}_duration_seconds",
            f"Time of the stage {name}.",
            buckets=TASK_SECONDS,
            registry=registry,
        )

    def observe(self, seconds: float, *, is_failed: bool) -> None:
        self._runs.inc()
        self._duration.observe(seconds)
        if is_failed:
            self._errors.inc()


def _value(counter: Counter) -> int:
    (family,) = counter.collect()
    return int(family.samples[0].value)
