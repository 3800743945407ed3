"""The metrics page: documented names, right values, and a form that Prometheus reads."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from telefuser_grpc.domain.replica import ReplicaState, ReplicaStatus
from telefuser_grpc.domain.task import Progress, Task, TaskState
from telefuser_grpc.telemetry.gpu import GpuReading
from telefuser_grpc.telemetry.metrics import Metrics
from telefuser_grpc.telemetry.stage_metrics import STAGES_LIMIT
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
LABELLED = {
    "telefuser_tasks_total": ("counter", {"task", "status"}),
    "telefuser_replica_state": ("gauge", {"replica", "state"}),
    "telefuser_task_progress_ratio": ("gauge", {"replica"}),
    "telefuser_gpu_memory_used_bytes": ("gauge", {"gpu"}),
    "telefuser_gpu_utilization_ratio": ("gauge", {"gpu"}),
    "telefuser_grpc_request_duration_seconds": ("histogram", {"method", "code"}),
}
DOCUMENTED_LINES = """\
# HELP telefuser_tasks_created_total Total number of tasks created
# TYPE telefuser_tasks_created_total counter
telefuser_tasks_created_total 100
# HELP telefuser_task_duration_seconds Duration of task execution in seconds
# TYPE telefuser_task_duration_seconds histogram
telefuser_task_duration_seconds_bucket{le="0.005"} 0
telefuser_task_duration_seconds_bucket{le="0.01"} 0
# HELP telefuser_gpu_0_memory_used_bytes GPU 0 memory used in bytes
# TYPE telefuser_gpu_0_memory_used_bytes gauge
telefuser_gpu_0_memory_used_bytes 8589934592
"""
STAGE_WORDS = st.lists(
    st.sampled_from(["a", "errors", "total", "created", "duration", "seconds", "sum", "count"]),
    min_size=1,
).map("_".join)
HOUR = timedelta(hours=1)
RPC = {"method": "/a/b", "code": "OK"}
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


def labels_of(page: str, name: str) -> set[str]:
    samples = [
        sample.labels.keys() - {"le"}
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name.startswith(name)
    ]
    assert all(labels == samples[0] for labels in samples)
    return set(samples[0])


def types_of(page: str) -> dict[str, str]:
    lines = [line.split() for line in page.splitlines() if line.startswith("# TYPE")]
    return {name: kind for _, _, name, kind in lines}


def test_every_documented_name_is_there_with_its_type(service: Service) -> None:
    service.gpus = [GPU]
    service.metrics.observe_stage("denoising", 1.0)

    assert DOCUMENTED.items() <= types_of(service.page).items()


def test_what_has_no_label_in_the_documentation_has_none(service: Service) -> None:
    service.gpus = [GPU]
    service.metrics.observe_stage("denoising", 1.0)

    labels = {
        (sample.name, *sample.labels.keys() - {"le"})
        for family in text_string_to_metric_families(service.page)
        for sample in family.samples
        if sample.name in DOCUMENTED
    }

    assert {name for name, *labels in labels if labels} == {"telefuser_service_info"}


def test_labelled_twins_are_there_with_their_labels(service: Service) -> None:
    service.gpus = [GPU]
    service.replicas = [ReplicaStatus(id=0, state=ReplicaState.BUSY)]
    service.metrics.task_changed(started(make_task()))
    service.metrics.observe_rpc("/a/b", "OK", 0.1)

    shown = {
        name: (kind, labels_of(service.page, name))
        for name, kind in types_of(service.page).items()
        if name in LABELLED
    }

    assert shown == LABELLED


def test_lines_read_as_in_the_documentation(service: Service) -> None:
    service.gpus = [replace(GPU, memory_used_bytes=8589934592)]
    for _ in range(100):
        service.metrics.task_created(make_task())

    assert set(DOCUMENTED_LINES.splitlines()) <= set(service.page.splitlines())


def test_fractions_are_written_in_full(service: Service) -> None:
    service.gpus = [replace(GPU, utilization_ratio=0.07)]
    service.metrics.observe_rpc("/a/b", "OK", 1e-7)

    assert "\ntelefuser_gpu_0_utilization_ratio 0.07\n" in service.page
    assert service.value("telefuser_grpc_request_duration_seconds_sum", **RPC) == 1e-7


def test_label_values_are_escaped() -> None:
    version = 'odd "version"\n\\'
    metrics = Metrics(version=version, counts=dict, replicas=lambda: ())

    page = metrics.render().decode()

    assert 'telefuser_service_info{version="odd \\"version\\"\\n\\\\"} 1\n' in page
    assert version in {
        sample.labels.get("version")
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


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
    assert service.value("telefuser_tasks_total", task="t2v", status="completed") == 1


def test_task_that_starts_again_has_waited_once(service: Service) -> None:
    first = started(make_task())
    service.metrics.task_changed(first)
    service.metrics.task_changed(first.requeue())
    service.metrics.task_changed(started(first.requeue()))

    assert service.value("telefuser_task_queue_wait_seconds_count") == 1
    assert service.value("telefuser_tasks_total", task="t2v", status="processing") == 2


def test_clock_that_was_set_back_measures_no_time_below_zero(service: Service) -> None:
    task = make_task()
    service.metrics.task_changed(started(replace(task, created_at=task.created_at + HOUR)))

    assert service.value("telefuser_task_queue_wait_seconds_sum") == 0
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
        service.metrics.http_began()
        service.metrics.http_ended(seconds)

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


@pytest.mark.parametrize(
    "name", ["telefuser_task_duration_seconds", "telefuser_task_queue_wait_seconds"]
)
def test_buckets_of_tasks_reach_an_hour(name: str, service: Service) -> None:
    bounds = [float(bound) for bound, _ in service.buckets(name)]

    assert bounds[:2] == [0.005, 0.01]
    assert bounds[-9:] == [30, 60, 120, 300, 600, 1200, 1800, 3600, float("inf")]


def test_request_in_flight_shows_until_it_ends(service: Service) -> None:
    for _ in range(2):
        service.metrics.http_began()
    begun = service.value("telefuser_http_requests_inflight")
    service.metrics.http_ended(0.5)

    assert begun == 2
    assert service.value("telefuser_http_requests_inflight") == 1
    assert service.value("telefuser_http_request_duration_seconds_sum") == 0.5


def test_buckets_of_rpcs_tell_calls_and_long_streams_apart(service: Service) -> None:
    service.metrics.observe_rpc("/a/b", "OK", 0.002)
    service.metrics.observe_rpc("/a/b", "OK", 1800)

    buckets = dict(service.buckets("telefuser_grpc_request_duration_seconds"))

    assert (buckets["0.001"], buckets["0.005"], buckets["600.0"], buckets["3600.0"]) == (0, 1, 1, 2)
    assert buckets["+Inf"] == 2


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


def test_progress_is_that_of_the_task_that_a_replica_has_last_begun(service: Service) -> None:
    metrics = service.metrics
    first, second = started(make_task()), started(make_task())
    metrics.task_changed(first)
    metrics.task_advanced(first.id, Progress(step=4, steps=4))
    encoding = progress(service)
    metrics.task_changed(second)
    metrics.task_advanced(first.id, Progress(step=3, steps=4))
    begun = progress(service)
    metrics.task_advanced(second.id, Progress(step=1, steps=4))
    metrics.task_changed(ended(first))

    assert (encoding, begun, progress(service)) == ({"0": 1.0}, {"0": 0.0}, {"0": 0.25})


@pytest.mark.parametrize("end", [ended, lambda task: ended(task, TaskState.FAILED), Task.requeue])
def test_idle_replica_shows_no_progress(end: Callable[[Task], Task], service: Service) -> None:
    first, second = started(make_task()), started(make_task())
    for task in (first, second):
        service.metrics.task_changed(task)
    service.metrics.task_changed(end(second))
    service.metrics.task_advanced(first.id, Progress(step=1, steps=2))
    service.metrics.task_changed(end(first))

    assert progress(service) == {}


def test_replica_shows_the_progress_of_a_batch_when_a_member_has_left(service: Service) -> None:
    members = [started(make_task()) for _ in range(3)]
    for task in members:
        service.metrics.task_changed(task)
    for task in members:
        service.metrics.task_advanced(task.id, Progress(step=1, steps=4))

    service.metrics.task_changed(ended(members[2], TaskState.FAILED))
    left = progress(service)
    for task in members[:2]:
        service.metrics.task_advanced(task.id, Progress(step=2, steps=4))

    assert (left, progress(service)) == ({"0": 0.25}, {"0": 0.5})


def test_progress_without_known_steps_is_none(service: Service) -> None:
    task = started(make_task(), replica=3)
    service.metrics.task_changed(task)
    service.metrics.task_advanced(task.id, Progress(step=7, steps=0))
    service.metrics.task_advanced("task_unknown", Progress(step=1, steps=1))

    assert progress(service) == {"3": 0.0}


def progress(service: Service) -> dict[str, float]:
    return {
        sample.labels["replica"]: sample.value
        for family in text_string_to_metric_families(service.page)
        for sample in family.samples
        if sample.name == "telefuser_task_progress_ratio"
    }


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
    service.metrics.observe_stage("total", 1.0)
    service.metrics.observe_stage("created", 1.0)
    service.metrics.observe_stage("...", 1.0)

    assert stages(service) == ["denoising"]


@given(st.lists(st.text(), max_size=8) | st.lists(STAGE_WORDS, max_size=8))
def test_no_stage_name_breaks_the_page(names: list[str]) -> None:
    service = Service()
    for name in names:
        service.metrics.observe_stage(name, 1.0)

    page = service.page

    assert len(types_of(page)) == len([line for line in page.splitlines() if "# TYPE" in line])
    assert list(text_string_to_metric_families(page))


def test_json_summary_has_the_documented_form(service: Service) -> None:
    service.now += 3600.9
    service.counts = {TaskState.PENDING: 5, TaskState.PROCESSING: 1}
    service.metrics.task_created(make_task())
    service.metrics.task_changed(ended(started(make_task()), TaskState.FAILED))
    service.metrics.observe_stage("denoising", 1.0)

    summary = service.metrics.as_json()

    assert list(summary) == [
        "uptime_seconds",
        "tasks",
        "queue",
        "metrics_count",
        "registered_stages",
    ]
    assert summary.pop("metrics_count") == len(types_of(service.page))
    assert summary == {
        "uptime_seconds": 3600,
        "tasks": {"created": 1, "completed": 0, "failed": 1, "cancelled": 0},
        "queue": {"size": 6, "pending": 5, "processing": 1},
        "registered_stages": ["denoising"],
    }


def test_numbers_of_the_summary_are_integers_even_before_anything_happened(
    service: Service,
) -> None:
    summary = service.metrics.as_json()

    numbers = [summary["uptime_seconds"], summary["metrics_count"]]
    numbers += [*summary["tasks"].values(), *summary["queue"].values()]
    assert {type(number) for number in numbers} == {int}


def stages(service: Service) -> Sequence[str]:
    found: Sequence[str] = service.metrics.as_json()["registered_stages"]
    return found
