"""Gauges that are read from their source at each scrape, so none is ever stale."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily

from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.domain.session import StreamMode
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.telemetry.gpu import GpuReader, GpuReading

GPU_MEASURES = {
    "memory_used_bytes": "memory used in bytes",
    "memory_total_bytes": "memory in total in bytes",
    "utilization_ratio": "utilization as a ratio of 0 to 1",
    "temperature_celsius": "temperature in degrees Celsius",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSizes:
    """How many tasks wait, and how many hold a replica."""

    pending: int
    processing: int

    @classmethod
    def of(cls, counts: Mapping[TaskState, int]) -> "QueueSizes":
        """Returns the sizes that the counts of all states amount to."""
        running = (TaskState.PROCESSING, TaskState.CANCELLING)
        return cls(
            pending=counts.get(TaskState.PENDING, 0),
            processing=sum(counts.get(state, 0) for state in running),
        )

    @property
    def size(self) -> int:
        """All tasks that have not ended."""
        return self.pending + self.processing


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGauges:
    """Collects service, queue, replicas and GPUs."""

    version: str
    uptime: Callable[[], float]
    counts: Callable[[], Mapping[TaskState, int]]
    replicas: Callable[[], Sequence[ReplicaStatus]]
    progress: Callable[[], Mapping[int, float]]
    gpus: GpuReader

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Reads everything now."""
        yield self._info()
        yield _gauge("service_uptime_seconds", "Seconds since the server started", self.uptime())
        yield from self._queue()
        yield self._replica_states()
        yield self._progress_ratios()
        yield from _of_gpus(self.gpus())

    def _info(self) -> GaugeMetricFamily:
        info = GaugeMetricFamily(
            "telefuser_service_info", "Always 1, labelled with the version", labels=["version"]
        )
        info.add_metric([self.version], 1)
        return info

    def _queue(self) -> Iterator[GaugeMetricFamily]:
        queue = QueueSizes.of(self.counts())
        yield _gauge("queue_size", "Number of tasks that wait or run", queue.size)
        yield _gauge("queue_pending", "Number of tasks that wait", queue.pending)
        yield _gauge("queue_processing", "Number of tasks that run", queue.processing)

    def _replica_states(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "telefuser_replica_state",
            "1 for the state that a replica is in, 0 for the others",
            labels=["replica", "state"],
        )
        for replica in self.replicas():
            for state in ReplicaState:
                family.add_metric([str(replica.id), state], replica.state is state)
        return family

    def _progress_ratios(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "telefuser_task_progress_ratio",
            "Share of steps that are done of what a replica runs, 0 to 1",
            labels=["replica"],
        )
        for replica, ratio in self.progress().items():
            family.add_metric([str(replica)], ratio)
        return family


@dataclass(frozen=True, slots=True)
class SessionGauge:
    """Collects how many sessions are open."""

    counts: Callable[[], Mapping[StreamMode, int]]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Reads them now."""
        family = GaugeMetricFamily(
            "telefuser_stream_sessions", "Number of sessions that are open", labels=["mode"]
        )
        counts = self.counts()
        for mode in StreamMode:
            family.add_metric([mode], counts.get(mode, 0))
        yield family


def _of_gpus(readings: Sequence[GpuReading]) -> Iterator[GaugeMetricFamily]:
    """Yields each measure under the documented names, and once more with a label for the GPU."""
    for measure, text in GPU_MEASURES.items():
        twin = GaugeMetricFamily(f"telefuser_gpu_{measure}", f"GPU {text}", labels=["gpu"])
        for gpu in readings:
            value = getattr(gpu, measure)
            if value is None:
                continue
            yield _gauge(f"gpu_{gpu.index}_{measure}", f"GPU {gpu.index} {text}", value)
            twin.add_metric([str(gpu.index)], value)
        if twin.samples:
            yield twin


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"telefuser_{name}", text, value=value)
