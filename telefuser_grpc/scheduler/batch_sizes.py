"""Learns which batch sizes pay, for each shape of task, from the seconds that runs take."""

import math
from collections import OrderedDict, deque
from collections.abc import Iterator

SHAPES = 256  # so many are remembered, those that ran last
RECENT = 3  # of so many last runs of a size the fastest counts: noise only adds
GAIN = 0.95  # a size pays if it takes at most this share of what the one below it takes
LEAST_RUNS = 2  # the first run of a shape may be compiled
TRIAL_SHARE = 0.01  # of all seconds, what sizes that did not pay may cost when they are tried again


class BatchSizes:
    """Chooses a size for each batch: the largest that is known to pay, or the next one to try.

    Alone comes first, then 2, then 4 and so on while the time for each task falls. What does not
    pay is tried again only as far as trials have cost little.

    Args:
        longest_seconds: How long a batch may be expected to take.
    """

    def __init__(self, *, longest_seconds: float = math.inf) -> None:
        self._longest_seconds = longest_seconds
        self._shapes: OrderedDict[str, _Shape] = OrderedDict()

    def choose(self, shape: str, *, waiting: int, limit: int) -> int:
        """Returns how many of so many waiting tasks to run together; `settle` is to follow."""
        return self._of(shape).choose(waiting, limit)

    def settle(self, shape: str, chosen: int) -> None:
        """Notes that a batch for which a size was chosen is over."""
        self._of(shape).settle(chosen)

    def learn(self, shape: str, size: int, seconds: float) -> None:
        """Takes in how long so many tasks have taken together."""
        self._of(shape).learn(size, seconds)

    def fail(self, shape: str, size: int, seconds: float, *, made: int) -> None:
        """Takes in that so many cannot be made together, and how many were made all the same."""
        self._of(shape).fail(size, seconds, made)

    def _of(self, shape: str) -> "_Shape":
        known = self._shapes.setdefault(shape, _Shape(self._longest_seconds))
        self._shapes.move_to_end(shape)
        if len(self._shapes) > SHAPES:
            self._shapes.popitem(last=False)
        return known


class _Shape:
    """What is known of one shape; all times are seconds for each task."""

    def __init__(self, longest_seconds: float) -> None:
        self._longest_seconds = longest_seconds
        self._times: dict[int, deque[float]] = {}
        self._failure_seconds: dict[int, float] = {}
        self._trial = 0
        self._spent = 0.0
        self._lost = 0.0

    def choose(self, waiting: int, limit: int) -> int:
        if waiting == 1 or self._runs(1) < LEAST_RUNS:
            return 1
        best, below = 1, 0
        for size in _sizes(limit):
            if size > waiting or self._is_too_long(size, best):
                break
            if not self._pays(size, best):
                is_due = self._runs(size) < LEAST_RUNS or self._is_cheap(size, best)
                return self._try(size) if is_due and not self._trial else best
            best, below = size, best
        is_due = below > 0 and self._is_cheap(below, best)
        return self._try(below) if is_due and not self._trial else best

    def settle(self, chosen: int) -> None:
        if chosen == self._trial:
            self._trial = 0

    def learn(self, size: int, seconds: float) -> None:
        if size == self._trial:
            self._lose(seconds - size * self._least())
        self._spent += seconds
        self._times.setdefault(size, deque(maxlen=RECENT)).append(seconds / size)

    def fail(self, size: int, seconds: float, made: int) -> None:
        lost = seconds - made * self._least() if made else seconds
        self._lose(lost)
        self._failure_seconds[size] = lost
        self._spent += seconds
        self._times[size] = deque([math.inf] * LEAST_RUNS, maxlen=RECENT)

    def _pays(self, size: int, than: int) -> bool:
        return self._time(size) <= GAIN * self._time(than)

    def _is_too_long(self, size: int, best: int) -> bool:
        time = self._time(size)
        return size * (self._time(best) if time == math.inf else time) > self._longest_seconds

    def _is_cheap(self, size: int, best: int) -> bool:
        """Tells whether all trials stay cheap if this size is tried in the place of the best."""
        time = self._time(size)
        loss = self._failure_seconds[size] if time == math.inf else size * (time - self._time(best))
        return self._lost + max(0.0, loss) <= TRIAL_SHARE * self._spent

    def _try(self, size: int) -> int:
        self._trial = size
        return size

    def _lose(self, seconds: float) -> None:
        self._lost += max(0.0, seconds)

    def _runs(self, size: int) -> int:
        return len(self._times.get(size, ()))

    def _time(self, size: int) -> float:
        return min(self._times.get(size, ()), default=math.inf)

    def _least(self) -> float:
        """Returns the shortest time of all sizes; nothing is tried before one is known."""
        return min(map(self._time, self._times), default=0.0)


def _sizes(limit: int) -> Iterator[int]:
    """Yields 2, 4, 8 and so on up to the limit, and that itself."""
    size = 2
    while size < limit:
        yield size
        size *= 2
    if limit > 1:
        yield limit
