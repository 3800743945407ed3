"""Gauges that are read from their source at each scrape, so none is ever stale."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily

from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.telemetry.gpu import GpuReader, GpuReading

GPU_MEASURES = {
    "memory_used_bytes": "Memory in use.",
    "memory_total_bytes": "Memory that the GPU has.",
    "utilization_ratio": "Share of time in which the GPU computed, 0 to 1.",
    "temperature_celsius": "Temperature.",
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
    gpus: GpuReader

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Reads everything now."""
        yield self._info()
        yield _gauge("service_uptime_seconds", "Time since the start.", self.uptime())
        yield from self._queue()
        yield self._replica_states()
        yield from _of_gpus(self.gpus())

    def _info(self) -> GaugeMetricFamily:
        info = GaugeMetricFamily("telefuser_service_info", "Always 1.", labels=["version"])
        info.add_metric([self.version], 1)
        return info

    def _queue(self) -> Iterator[GaugeMetricFamily]:
        queue = QueueSizes.of(self.counts())
        yield _gauge("queue_size", "Tasks that have not ended.", queue.size)
        yield _gauge("queue_pending", "Tasks that wait.", queue.pending)
        yield _gauge("queue_processing", "Tasks that run.", queue.processing)

    def _replica_states(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "telefuser_replica_state",
            "1 for the state that a replica is in, 0 for the others.",
            labels=["replica", "state"],
        )
        for replica in self.replicas():
            for state in ReplicaState:
                family.add_metric([str(replica.id), state], replica.state is state)
        return family


def _of_gpus(readings: Sequence[GpuReading]) -> Iterator[GaugeMetricFamily]:
    """Yields each measure under the documented names, and once more with a label for the GPU."""
    for measure, text in GPU_MEASURES.items():
        twin = GaugeMetricFamily(f"telefuser_gpu_{measure}", text, labels=["gpu"])
        for gpu in readings:
            value = getattr(gpu, measure)
            if value is None:
                continue
            yield _gauge(f"gpu_{gpu.index}_{measure}", text, value)
            twin.add_metric([str(gpu.index)], value)
        if twin.samples:
            yield twin


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"telefuser_{name}", text, value=value)
