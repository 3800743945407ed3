"""Names of generations."""

from datetime import UTC, datetime

from telefuser_grpc.server.image_to_video.names import Names
from tests.server.image_to_video.conftest import Clock


def test_name_is_the_second_and_further_ones_are_numbered() -> None:
    clock = Clock(datetime(2025, 4, 5, 10, 0, 1, tzinfo=UTC))
    names = Names(clock)

    first, second, third = names.next(), names.next(), names.next()
    clock.move(1)
    later = names.next()

    assert (first.task_id, first.file("mp4")) == (
        "task_20250405_100001",
        "video_20250405_100001.mp4",
    )
    assert second.task_id == "task_20250405_100001_1"
    assert third.file("gif") == "video_20250405_100001_2.gif"
    assert later.task_id == "task_20250405_100002"


def test_clock_that_is_set_back_repeats_no_name() -> None:
    clock = Clock(datetime(2025, 4, 5, 10, 0, 1, tzinfo=UTC))
    names = Names(clock)
    names.next()
    clock.move(-60)

    assert names.next().task_id == "task_20250405_100001_1"
