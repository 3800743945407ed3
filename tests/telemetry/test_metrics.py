"""The metrics page: documented names, right values, and a form that Prometheus reads."""

from collections.abc import Sequence

import pytest
from prometheus_client.parser import text_string_to_metric_families

from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.telemetry.gpu import GpuReading
from telefuser_grpc.telemetry.metrics import STAGES_LIMIT, Metrics
from tests.fakes.builders import ended, make_task, started

DOCUMENTED = {
    "telefuser_tasks_created_total": "counter",
    "telefuser_tasks_completed_total": "counter",
    "telefuser_tasks_failed_total": "counter",
    "telefuser_tasks_cancelled_total": "counter",
    "telefuser_task_duration_seconds": "histogram",
    "telefuser_task_queue_wait_seconds": "histogram",
    "telefuser_queue_size": "gauge",
    "telefuser_queue_pending": "gauge",
    "telefuser_queue_processing": "gauge",
    "telefuser_gpu_0_memory_used_bytes": "gauge",
    "telefuser_gpu_0_memory_total_bytes": "gauge",
    "telefuser_gpu_0_utilization_ratio": "gauge",
    "telefuser_gpu_0_temperature_celsius": "gauge",
    "telefuser_service_uptime_seconds": "gauge",
    "telefuser_service_info": "gauge",
    "telefuser_http_requests_total": "counter",
    "telefuser_http_request_duration_seconds": "histogram",
    "telefuser_http_requests_inflight": "gauge",
    "telefuser_stage_denoising_duration_seconds": "histogram",
    "telefuser_stage_denoising_total": "counter",
    "telefuser_stage_denoising_errors_total": "counter",
}
GPU = GpuReading(
    index=0,
    memory_used_bytes=10,
    memory_total_bytes=20,
    utilization_ratio=0.25,
    temperature_celsius=55,
)


class Service:
    """Metrics of a service whose state and clock a test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.counts: dict[TaskState, int] = {}
        self.replicas: list[ReplicaStatus] = []
        self.gpus: list[GpuReading] = []
        self.metrics = Metrics(
            version="1.2.3",
            counts=lambda: self.counts,
            replicas=lambda: self.replicas,
            gpus=lambda: self.gpus,
            clock=lambda: self.now,
        )

    @property
    def page(self) -> str:
        return self.metrics.render().decode()

    def value(self, name: str, **labels: str) -> float:
        (value,) = (
            sample.value
            for family in text_string_to_metric_families(self.page)
            for sample in family.samples
            if (sample.name, sample.labels) == (name, labels)
        )
        return value

    def buckets(self, name: str) -> list[tuple[str, float]]:
        return [
            (sample.labels["le"], sample.value)
            for family in text_string_to_metric_families(self.page)
            for sample in family.samples
            if sample.name == f"{name}_bucket"
        ]


@pytest.fixture
def service() -> Service:
    return Service()


def types_of(page: str) -> dict[str, str]:
    lines = [line.split() for line in page.splitlines() if line.startswith("# TYPE")]
    return {name: kind for _, _, name, kind in lines}


def test_every_documented_name_is_there_with_its_type(service: Service) -> None:
    service.gpus = [GPU]
    service.metrics.observe_stage("denoising", 1.0)

    assert DOCUMENTED.items() <= types_of(service.page).items()


def test_page_parses_and_has_no_creation_times(service: Service) -> None:
    service.metrics.task_created(make_task())

    names = {
        sample.name
        for family in text_string_to_metric_families(service.page)
        for sample in family.samples
    }

    assert "telefuser_tasks_created_total" in names
    assert not {name for name in names if name.endswith("_created")}
    assert Metrics.content_type == "text/plain; version=0.0.4; charset=utf-8"


def test_task_is_counted_and_measured_from_creation_to_end(service: Service) -> None:
    task = make_task()
    service.metrics.task_created(task)
    service.metrics.task_changed(started(task))
    service.metrics.task_changed(ended(started(task)))

    assert service.value("telefuser_tasks_created_total") == 1
    assert service.value("telefuser_tasks_completed_total") == 1
    assert service.value("telefuser_task_queue_wait_seconds_sum") == 1.0
    assert service.value("telefuser_task_duration_seconds_sum") == 1.0
    assert service.value("telefuser_tasks_total", kind="t2v", state="completed") == 1


def test_task_that_starts_again_has_waited_once(service: Service) -> None:
    first = started(make_task())
    service.metrics.task_changed(first)
    service.metrics.task_changed(first.requeue())
    service.metrics.task_changed(started(first.requeue()))

    assert service.value("telefuser_task_queue_wait_seconds_count") == 1


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.CANCELLED])
def test_task_without_result_is_counted_but_no_processing_time(
    state: TaskState, service: Service
) -> None:
    service.metrics.task_changed(ended(started(make_task()), state))

    assert service.value(f"telefuser_tasks_{state}_total") == 1
    assert service.value("telefuser_task_duration_seconds_count") == 0


def test_histogram_buckets_are_cumulative_and_end_at_infinity(service: Service) -> None:
    for seconds in (0.001, 0.02, 0.3, 99.0):
        service.metrics.observe_http(seconds)

    assert service.buckets("telefuser_http_request_duration_seconds") == [
        ("0.005", 1),
        ("0.01", 1),
        ("0.025", 2),
        ("0.05", 2),
        ("0.1", 2),
        ("0.25", 2),
        ("0.5", 3),
        ("1.0", 3),
        ("2.5", 3),
        ("5.0", 3),
        ("10.0", 3),
        ("+Inf", 4),
    ]
    assert service.value("telefuser_http_request_duration_seconds_count") == 4
    assert service.value("telefuser_http_requests_total") == 4


def test_buckets_of_tasks_reach_an_hour(service: Service) -> None:
    bounds = [float(bound) for bound, _ in service.buckets("telefuser_task_duration_seconds")]

    assert bounds[:2] == [0.005, 0.01]
    assert bounds[-9:] == [30, 60, 120, 300, 600, 1200, 1800, 3600, float("inf")]


def test_request_in_flight_shows_until_it_ends_even_with_an_error(service: Service) -> None:
    shown = []

    def refuse() -> None:
        with service.metrics.http_request():
            shown.append(service.value("telefuser_http_requests_inflight"))
            service.now += 0.5
            raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        refuse()

    assert shown == [1]
    assert service.value("telefuser_http_requests_inflight") == 0
    assert service.value("telefuser_http_request_duration_seconds_sum") == 0.5


def test_gauges_show_the_moment_of_the_scrape(service: Service) -> None:
    before = service.value("telefuser_queue_size")
    service.now += 7
    service.counts = {
        TaskState.PENDING: 3,
        TaskState.PROCESSING: 1,
        TaskState.CANCELLING: 1,
        TaskState.COMPLETED: 50,
    }

    assert before == 0
    assert service.value("telefuser_queue_size") == 5
    assert service.value("telefuser_queue_pending") == 3
    assert service.value("telefuser_queue_processing") == 2
    assert service.value("telefuser_service_uptime_seconds") == 7
    assert service.value("telefuser_service_info", version="1.2.3") == 1


def test_replica_is_in_exactly_one_state(service: Service) -> None:
    service.replicas = [
        ReplicaStatus(id=0, state=ReplicaState.BUSY),
        ReplicaStatus(id=1, state=ReplicaState.DEAD),
    ]

    shown = {
        (replica, state): service.value("telefuser_replica_state", replica=replica, state=state)
        for replica in "01"
        for state in ReplicaState
    }

    assert {key for key, value in shown.items() if value} == {("0", "busy"), ("1", "dead")}
    assert len(shown) == 8


def test_gpu_shows_under_its_name_and_its_label_and_only_what_is_known(service: Service) -> None:
    service.gpus = [GPU, GpuReading(index=1, memory_used_bytes=30)]

    assert service.value("telefuser_gpu_0_utilization_ratio") == 0.25
    assert service.value("telefuser_gpu_1_memory_used_bytes") == 30
    assert service.value("telefuser_gpu_memory_used_bytes", gpu="1") == 30
    assert "telefuser_gpu_1_temperature_celsius" not in service.page


def test_stages_are_counted_under_names_that_prometheus_takes(service: Service) -> None:
    service.metrics.observe_stage("VAE decode!", 0.5)
    service.metrics.observe_stage("VAE decode!", 1.5, is_failed=True)

    assert service.value("telefuser_stage_vae_decode_total") == 2
    assert service.value("telefuser_stage_vae_decode_errors_total") == 1
    assert service.value("telefuser_stage_vae_decode_duration_seconds_sum") == 2.0


def test_pipeline_with_endless_stage_names_does_not_fill_memory(service: Service) -> None:
    for number in range(STAGES_LIMIT + 5):
        service.metrics.observe_stage(f"frame {number}", 1.0)
    service.metrics.observe_stage("frame 0", 1.0)

    assert len(stages(service)) == STAGES_LIMIT
    assert service.value("telefuser_stage_frame_0_total") == 2


def test_stage_whose_name_would_clash_with_a_metric_is_left_out(service: Service) -> None:
    service.metrics.observe_stage("denoising", 1.0)
    service.metrics.observe_stage("denoising errors", 1.0)
    service.metrics.observe_stage("denoising_duration_seconds", 1.0)
    service.metrics.observe_stage("...", 1.0)

    assert stages(service) == ["denoising"]


def test_json_summary_has_the_documented_form(service: Service) -> None:
    service.now += 3600.9
    service.counts = {TaskState.PENDING: 5, TaskState.PROCESSING: 1}
    service.metrics.task_created(make_task())
    service.metrics.task_changed(ended(started(make_task()), TaskState.FAILED))
    service.metrics.observe_stage("denoising", 1.0)

    summary = service.metrics.as_json()

    assert summary.pop("metrics_count") == len(types_of(service.page))
    assert summary == {
        "uptime_seconds": 3600,
        "tasks": {"created": 1, "completed": 0, "failed": 1, "cancelled": 0},
        "queue": {"size": 6, "pending": 5, "processing": 1},
        "registered_stages": ["denoising"],
    }


def stages(service: Service) -> Sequence[str]:
    found: Sequence[str] = service.metrics.as_json()["registered_stages"]
    return found
