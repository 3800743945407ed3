"""Chunks are held back until they are about to be seen, and their speed is told."""

from dataclasses import dataclass

import pytest

from telefuser_grpc.pipeline.world_metrics import HEADROOM, SLACK_SECONDS, Metrics, Pace


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_first_chunk_is_not_held_back() -> None:
    assert Pace(Clock()).seconds_to_wait() == 0


def test_next_chunk_is_begun_just_in_time() -> None:
    clock = Clock(5.0)
    pace = Pace(clock)

    pace.made(media_seconds=2.0, seconds=0.1)

    lead = 0.1 * HEADROOM + SLACK_SECONDS
    assert pace.seconds_to_wait() == pytest.approx(2.0 - lead)
    clock.now += 1.0
    assert pace.seconds_to_wait() == pytest.approx(1.0 - lead)
    clock.now += 1.0
    assert pace.seconds_to_wait() == 0


def test_chunks_that_take_longer_than_they_last_are_not_held_back() -> None:
    pace = Pace(Clock())

    pace.made(media_seconds=2.0, seconds=3.0)

    assert pace.seconds_to_wait() == 0


def test_pause_is_not_made_up_for() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.made(media_seconds=1.0, seconds=0.0)
    clock.now = 100.0

    pace.made(media_seconds=1.0, seconds=0.0)

    assert pace.seconds_to_wait() == pytest.approx(1.0 - SLACK_SECONDS)


def test_delays_run_from_the_opening_and_from_the_first_control() -> None:
    clock = Clock()
    metrics = Metrics(clock)
    clock.now = 3.0
    metrics.heard()
    clock.now = 4.0
    metrics.heard()
    clock.now = 5.0

    told = metrics.sent(seconds=1.5, media_seconds=0.5)

    assert told == {
        "chunk_seconds": 1.5,
        "chunk_media_seconds": 0.5,
        "control_to_output_seconds": 2.0,
        "first_output_seconds": 5.0,
        "real_time_factor": 3.0,
    }
    assert metrics.sent(seconds=1.0, media_seconds=0.5)["control_to_output_seconds"] is None


def test_real_time_factor_is_that_of_the_slow_chunks() -> None:
    metrics = Metrics(Clock())
    for seconds in [*[0.5] * 18, 2.0, 9.0]:
        metrics.sent(seconds=seconds, media_seconds=1.0)

    assert metrics.summary(with_chunks=False)["real_time_factor"] == 2.0


def test_summary_of_no_chunks_has_no_numbers_of_them() -> None:
    summary = Metrics(Clock()).summary(with_chunks=True)

    assert summary == {
        "session_age_seconds": 0.0,
        "first_output_seconds": None,
        "real_time_factor": None,
        "chunks_seconds": [],
    }
