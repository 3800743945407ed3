"""Readings that are asked for seldom, of drivers that hang, fail and recover."""

from collections.abc import Sequence
from threading import Event

from structlog.testing import capture_logs

from telefuser_grpc.telemetry.gpu import GpuReader, GpuReading
from telefuser_grpc.telemetry.metrics import Metrics
from telefuser_grpc.telemetry.recent_readings import RecentReadings

BRIEF = 0.05
GPU = GpuReading(index=0, memory_used_bytes=1)


class Driver:
    """A driver that a test lets hang or fail, its reader with an age of 5 seconds, and a clock."""

    def __init__(self, *, patience_seconds: float = 30.0) -> None:
        self.now = 0.0
        self.opened = 0
        self.reads = 0
        self.fault: Exception | None = None
        self.answers = Event()
        self.answers.set()
        self.recent = RecentReadings(
            self.open, max_age_seconds=5, patience_seconds=patience_seconds, clock=lambda: self.now
        )

    def open(self) -> GpuReader:
        self.opened += 1
        return self.read

    def read(self) -> Sequence[GpuReading]:
        self.reads += 1
        self.answers.wait(30)
        if self.fault:
            raise self.fault
        return [GpuReading(index=0, memory_used_bytes=self.reads)]


def test_driver_is_opened_by_the_first_question_only() -> None:
    driver = Driver()
    before = driver.opened
    driver.recent()
    driver.now = 6
    driver.recent()

    assert (before, driver.opened, driver.reads) == (0, 1, 2)


def test_reading_is_kept_for_its_age_and_no_longer() -> None:
    driver = Driver()
    first = driver.recent()
    driver.now = 4.9
    kept = driver.recent()
    driver.now = 5
    fresh = driver.recent()

    assert first == kept == [GPU]
    assert fresh == [GpuReading(index=0, memory_used_bytes=2)]


def test_driver_that_hangs_costs_the_readings_and_not_the_page() -> None:
    driver = Driver(patience_seconds=BRIEF)
    metrics = Metrics(version="1", counts=dict, replicas=lambda: (), gpus=driver.recent)
    well = metrics.render()
    driver.answers.clear()
    driver.now = 6
    hung = [metrics.render(), metrics.render()]
    reads = driver.reads
    driver.answers.set()

    assert b"telefuser_gpu_0_memory_used_bytes 1\n" in well
    assert not any(b"telefuser_gpu_0" in page for page in hung)
    assert all(b"telefuser_queue_size 0\n" in page for page in hung)
    assert reads == 2  # one thread waits, however often the page is asked for


def test_driver_that_fails_is_asked_again_when_the_time_has_come() -> None:
    driver = Driver()
    driver.fault = OSError("unplugged")
    with capture_logs() as logs:
        failed = driver.recent()
    driver.fault = None
    at_once = driver.recent()
    driver.now = 5

    assert list(failed) == list(at_once) == []
    assert driver.recent() == [GpuReading(index=0, memory_used_bytes=2)]
    assert [line["event"] for line in logs] == ["gpus cannot be read"]
