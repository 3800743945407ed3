"""Expected times, from runs that were seen."""

from datetime import timedelta

from telefuser_grpc.scheduler.estimates import Estimates
from tests.fakes.builders import NOW, make_task, started

LATER = NOW + timedelta(seconds=1)  # when `started` tasks have begun


def test_nothing_is_expected_of_a_kind_that_never_ran() -> None:
    starts = Estimates().starts([make_task()], [started(make_task())], replicas=1, now=NOW)

    assert starts == {}


def test_a_waiting_task_starts_when_the_running_one_should_end() -> None:
    estimates = Estimates()
    estimates.learn("t2v", 10.0)
    waiting = make_task()

    starts = estimates.starts([waiting], [started(make_task())], replicas=1, now=LATER)

    assert starts == {waiting.id: LATER + timedelta(seconds=10)}


def test_a_free_replica_takes_the_next_task_now() -> None:
    estimates = Estimates()
    estimates.learn("t2v", 10.0)
    first, second = make_task(), make_task()

    starts = estimates.starts([first, second], [started(make_task())], replicas=2, now=LATER)

    assert starts[first.id] == LATER
    assert starts[second.id] == LATER + timedelta(seconds=10)


def test_newer_runs_weigh_more() -> None:
    estimates = Estimates()
    estimates.learn("t2v", 10.0)
    estimates.learn("t2v", 20.0)

    assert estimates.seconds_to_room([started(make_task())], LATER) == 13.0


def test_room_is_never_expected_in_less_than_a_second() -> None:
    estimates = Estimates()
    estimates.learn("t2v", 0.01)

    assert estimates.seconds_to_room([started(make_task())], LATER) == 1.0


def test_no_capacity_means_no_expectation() -> None:
    assert Estimates().starts([make_task()], [], replicas=0, now=NOW) == {}


def test_a_replica_that_makes_several_is_free_after_all_of_them() -> None:
    estimates = Estimates()
    estimates.learn("t2v", 10.0, batch_size=2)
    running = [started(make_task()), started(make_task())]
    first, second = make_task(), make_task()

    starts = estimates.starts([first, second], running, replicas=1, now=LATER)

    assert starts[first.id] == LATER + timedelta(seconds=10)
    assert starts[second.id] == LATER + timedelta(seconds=15)
