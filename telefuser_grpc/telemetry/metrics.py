"""Every metric of the service: the page for Prometheus, and the summary for people."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, disable_created_metrics

from telefuser_grpc.domain.replica import ReplicaStatus
from telefuser_grpc.domain.session import StreamMode
from telefuser_grpc.domain.task import Progress, Task, TaskState
from telefuser_grpc.telemetry.call_metrics import HttpMetrics, RpcMetrics
from telefuser_grpc.telemetry.exposition import exposition
from telefuser_grpc.telemetry.gauges import LiveGauges, QueueSizes, SessionGauge
from telefuser_grpc.telemetry.gpu import GpuReader, no_gpus
from telefuser_grpc.telemetry.replica_progress import ReplicaProgress
from telefuser_grpc.telemetry.stage_metrics import StageMetrics
from telefuser_grpc.telemetry.task_metrics import TaskMetrics


class Metrics:
    """Counters begin at 0 with the server; gauges are read from their source when asked for.

    Args:
        counts: Tells how many tasks are in each state.
        replicas: Tells every replica's state.
        gpus: Reads the GPUs.
        sessions: Tells how many sessions of each mode are open, where sessions are served.
    """

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(
        self,
        *,
        version: str,
        counts: Callable[[], Mapping[TaskState, int]],
        replicas: Callable[[], Sequence[ReplicaStatus]],
        gpus: GpuReader = no_gpus,
        sessions: Callable[[], Mapping[StreamMode, int]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # is without annotations
        self._counts = counts
        self._clock = clock
        self._started = clock()
        self._progress = ReplicaProgress()
        self._registry = CollectorRegistry()
        self._registry.register(
            LiveGauges(
                version=version,
                uptime=self._uptime,
                counts=counts,
                replicas=replicas,
                progress=self._progress.ratios,
                gpus=gpus,
            )
        )
        if sessions is not None:
            self._registry.register(SessionGauge(sessions))
        self._tasks = TaskMetrics(self._registry)
        self._http = HttpMetrics(self._registry)
        self._rpcs = RpcMetrics(self._registry)
        self._stages = StageMetrics(self._registry)

    def render(self) -> bytes:
        """Returns the page in Prometheus' text format 0.0.4. Any thread may ask."""
        return exposition(self._registry)

    def as_json(self) -> dict[str, Any]:
        """Returns the documented summary. Any thread may ask."""
        queue = QueueSizes.of(self._counts())
        return {
            "uptime_seconds": int(self._uptime()),
            "tasks": self._tasks.totals(),
            "queue": {"size": queue.size, "pending": queue.pending, "processing": queue.processing},
            "metrics_count": sum(1 for _ in self._registry.collect()),
            "registered_stages": self._stages.names,
        }

    def task_created(self, task: Task) -> None:
        """Counts a new task."""
        self._tasks.create(task)

    def task_changed(self, task: Task) -> None:
        """Counts a task's new state and measures what it ends."""
        self._tasks.change(task)
        self._progress.change(task)

    def task_advanced(self, task_id: str, progress: Progress) -> None:
        """Notes how far a task has come."""
        self._progress.advance(task_id, progress)

    def http_began(self) -> None:
        """Shows a REST request as being served."""
        self._http.begin()

    def http_ended(self, seconds: float) -> None:
        """Counts and measures a REST request that has begun before."""
        self._http.end(seconds)

    def observe_rpc(self, method: str, code: str, seconds: float) -> None:
        """Counts and measures an RPC, by its name and the name of its status."""
        self._rpcs.observe(method, code, seconds)

    def observe_stage(self, name: str, seconds: float, *, is_failed: bool = False) -> None:
        """Counts and measures a stage that a pipeline went through."""
        self._stages.observe(name, seconds, is_failed=is_failed)

    def _uptime(self) -> float:
        return self._clock() - self._started
