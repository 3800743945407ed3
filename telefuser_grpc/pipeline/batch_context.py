"""Tells of the steps of a batch to each of its members."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from telefuser_grpc.pipeline.context import JobContext, RunContext, Signal


class BatchContext:
    """What a watched diffusers pipeline is told by and tells, where it makes several tasks at once.

    Attributes:
        members: Their contexts, the third argument of `run_batch(pipeline, requests, contexts)`.
            `cancelled` of each is its own; it raises when the last of them is cancelled.
        stops: Is set then.
    """

    def __init__(self, runs: Sequence[RunContext]) -> None:
        self.stops = EveryEvent([run.cancelled for run in runs])
        self.members = [JobContext(run, stops=self.stops) for run in runs]

    def raise_if_cancelled(self) -> None:
        """Raises TaskCancelled when nobody waits for the batch any more."""
        self.members[0].raise_if_cancelled()

    def step_done(self, pipe: Any, step: int, steps: int, tensors: Mapping[str, Any]) -> None:
        """Tells of a step that all have made, each with a picture of its own latents if one is due.

        Raises:
            TaskCancelled: Nobody waits for the batch any more.
        """
        self.raise_if_cancelled()
        count = len(self.members)
        for row, member in enumerate(self.members):
            if not member.cancelled:
                member.step_done(pipe, step, steps, _row(tensors, row, count))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keeps `on_step_end` of all members silent meanwhile."""
        with ExitStack() as stack:
            for member in self.members:
                stack.enter_context(member.watched())
            yield


class EveryEvent:
    """Is set when all of several events are."""

    def __init__(self, events: Sequence[Signal]) -> None:
        self._events = events

    def is_set(self) -> bool:
        """Tells whether all are set."""
        return all(event.is_set() for event in self._events)


def _row(tensors: Mapping[str, Any], row: int, count: int) -> dict[str, Any]:
    """Returns what belongs to one member: nothing where the rows are not the members."""
    return {
        name: tensor[row : row + 1]
        for name, tensor in tensors.items()
        if getattr(tensor, "ndim", 0) and len(tensor) == count
    }
