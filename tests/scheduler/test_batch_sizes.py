"""A batch is only as large as pays, and finding that out costs little."""

from collections.abc import Callable

from telefuser_grpc.scheduler.batch_sizes import BatchSizes

SHAPE = "480p"


class Workshop:
    """A long line of tasks of one shape; `seconds(size)` is what so many take together."""

    def __init__(self, seconds: Callable[[int], float], *, limit: int = 8) -> None:
        self.sizes = BatchSizes()
        self.chosen: list[int] = []
        self.spent = 0.0
        self._seconds = seconds
        self._limit = limit

    def make(self, count: int) -> list[int]:
        """Makes so many tasks or a few more, and returns the sizes of the batches."""
        before = len(self.chosen)
        while count > 0:
            size = self.sizes.choose(SHAPE, waiting=64, limit=self._limit)
            seconds = self._seconds(size)
            self.sizes.learn(SHAPE, size, seconds)
            self.sizes.settle(SHAPE, size)
            self.spent += seconds
            self.chosen.append(size)
            count -= size
        return self.chosen[before:]


def overhead_bound(size: int) -> float:
    return 1.0 + 0.1 * size


def compute_bound(size: int) -> float:
    return 1.0 * size + 0.05


def test_sizes_grow_while_the_time_for_each_task_falls() -> None:
    assert Workshop(overhead_bound).make(48)[:6] == [1, 1, 2, 4, 8, 8]


def test_a_task_that_waits_alone_is_run_alone() -> None:
    workshop = Workshop(overhead_bound)
    workshop.make(20)

    assert workshop.sizes.choose(SHAPE, waiting=1, limit=8) == 1


def test_never_more_than_wait_or_are_allowed() -> None:
    workshop = Workshop(overhead_bound, limit=6)
    workshop.make(40)

    assert max(workshop.chosen) == 6
    assert workshop.sizes.choose(SHAPE, waiting=5, limit=6) == 4
    assert workshop.sizes.choose(SHAPE, waiting=50, limit=3) == 3
    assert workshop.sizes.choose(SHAPE, waiting=50, limit=1) == 1


def test_what_does_not_pay_is_tried_twice_and_then_rarely() -> None:
    workshop = Workshop(lambda size: size * (1.0 if size == 1 else 1.2))
    workshop.make(100)

    assert workshop.chosen[:4] == [1, 1, 2, 2]
    assert workshop.chosen.count(2) <= 4
    assert set(workshop.chosen) == {1, 2}


def test_the_first_run_of_a_size_may_be_compiled() -> None:
    compiled: set[int] = set()

    def seconds(size: int) -> float:
        is_first = size not in compiled
        compiled.add(size)
        return overhead_bound(size) + (30.0 if is_first else 0.0)

    workshop = Workshop(seconds)
    workshop.make(100)

    assert workshop.chosen[-1] == 8


def test_a_size_that_pays_only_in_the_middle_is_kept() -> None:
    def seconds(size: int) -> float:
        return size * {1: 1.0, 2: 0.6, 4: 0.9, 8: 0.5}[size]

    workshop = Workshop(seconds)
    workshop.make(400)

    assert workshop.chosen.count(2) > 150
    assert 8 not in workshop.chosen


def test_trials_cost_less_than_three_percent() -> None:
    for seconds, best in [
        (compute_bound, 1),
        (lambda size: size * (1.0 if size == 1 else 2.0), 1),
        (overhead_bound, 8),
    ]:
        workshop = Workshop(seconds)
        workshop.make(800)

        assert workshop.spent <= 1.03 * sum(workshop.chosen) * seconds(best) / best


def test_a_size_that_begins_to_pay_is_found_in_time() -> None:
    pays = False

    def seconds(size: int) -> float:
        return overhead_bound(size) if pays else compute_bound(size)

    workshop = Workshop(seconds)
    workshop.make(400)
    pays = True
    workshop.make(400)

    assert workshop.chosen[-1] == 8


def test_a_size_that_pays_no_more_is_given_up_in_time() -> None:
    pays = True

    def seconds(size: int) -> float:
        return overhead_bound(size) if pays or size == 1 else 3.0 * size

    workshop = Workshop(seconds)
    workshop.make(400)
    pays = False
    workshop.make(400)

    assert workshop.chosen[-5:] == [1] * 5


def test_a_size_that_fails_is_not_used_and_tried_again_only_after_much_work() -> None:
    sizes, chosen = BatchSizes(), []
    for _ in range(1000):
        size = sizes.choose(SHAPE, waiting=50, limit=8)
        chosen.append(size)
        if size > 2:
            sizes.fail(SHAPE, size, 5.0, made=size)
        else:
            sizes.learn(SHAPE, size, overhead_bound(size))
        sizes.settle(SHAPE, size)

    assert chosen[:5] == [1, 1, 2, 4, 2]
    assert 1 <= chosen[5:].count(4) <= 5
    assert 8 not in chosen


def test_a_batch_that_might_take_too_long_is_not_even_tried() -> None:
    workshop = Workshop(overhead_bound)
    workshop.sizes = BatchSizes(longest_seconds=2.5)
    workshop.make(100)

    slow = Workshop(lambda size: 2.0 * overhead_bound(size))
    slow.sizes = BatchSizes(longest_seconds=2.5)
    slow.make(100)

    assert max(workshop.chosen) == 4
    assert max(slow.chosen) == 1


def test_one_trial_is_made_at_a_time() -> None:
    sizes = BatchSizes()
    for _ in range(2):
        sizes.learn(SHAPE, sizes.choose(SHAPE, waiting=9, limit=8), 1.0)

    chosen = [sizes.choose(SHAPE, waiting=9, limit=8) for _ in range(3)]
    sizes.settle(SHAPE, 2)
    again = sizes.choose(SHAPE, waiting=9, limit=8)

    assert (chosen, again) == ([2, 1, 1], 2)


def test_shapes_are_measured_for_themselves() -> None:
    workshop = Workshop(overhead_bound)
    workshop.make(40)

    assert workshop.sizes.choose("720p", waiting=9, limit=8) == 1
    assert workshop.sizes.choose(SHAPE, waiting=9, limit=8) == 8


def test_only_the_shapes_that_ran_last_are_remembered() -> None:
    workshop = Workshop(overhead_bound)
    workshop.make(40)
    for number in range(300):
        workshop.sizes.choose(f"{number}p", waiting=1, limit=8)

    assert workshop.sizes.choose(SHAPE, waiting=9, limit=8) == 1
    assert len(workshop.sizes._shapes) == 256
