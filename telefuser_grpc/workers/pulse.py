"""Notices that a process which lives does not answer: stopped, swapped out, or hung as a whole."""

import asyncio
from collections.abc import Callable

BEATS = 4


class Pulse:
    """Asks for signs of life, and tells when none comes for a while.

    Unanswered questions are counted, not seconds: a server that was itself stopped for a while
    does not take that for the silence of others.

    Args:
        ask: Sends the question.
        on_silence: Called once when nothing was heard for `silence_seconds`.
        silence_seconds: 0 never asks.
    """

    def __init__(
        self, *, ask: Callable[[], None], on_silence: Callable[[], None], silence_seconds: float
    ) -> None:
        self._ask = ask
        self._on_silence = on_silence
        self._interval = silence_seconds / BEATS
        self._unanswered = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins to ask."""
        if self._interval > 0:
            self._wait()

    def heard(self) -> None:
        """Takes a sign of life."""
        self._unanswered = 0

    def stop(self) -> None:
        """Asks no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._beat)

    def _beat(self) -> None:
        if self._unanswered == BEATS:
            self._on_silence()
            return
        self._unanswered += 1
        self._ask()
        self._wait()
