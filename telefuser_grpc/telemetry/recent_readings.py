"""Asks a driver seldom, and never for long."""

import time
from collections.abc import Callable, Sequence
from threading import Lock, Thread

import structlog

from telefuser_grpc.telemetry.gpu import GpuReader, GpuReading

logger = structlog.get_logger()


class RecentReadings:
    """A reader that asks another one only when its last answer has become old.

    The other is asked in a thread of its own: a driver that hangs costs a caller `patience_seconds`
    and the readings, not the rest of its page.
    """

    def __init__(
        self,
        open_reader: Callable[[], GpuReader],
        *,
        max_age_seconds: float,
        patience_seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_reader = open_reader
        self._max_age_seconds = max_age_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._lock = Lock()
        self._reader: GpuReader | None = None
        self._thread: Thread | None = None
        self._readings: Sequence[GpuReading] = ()
        self._read_at = float("-inf")

    def __call__(self) -> Sequence[GpuReading]:
        if self._is_old():
            self._reading_thread().join(self._patience_seconds)
        return () if self._is_old() else self._readings

    def _is_old(self) -> bool:
        return self._clock() - self._read_at >= self._max_age_seconds

    def _reading_thread(self) -> Thread:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._read, name="gpus", daemon=True)
                self._thread.start()
            return self._thread

    def _read(self) -> None:
        try:
            self._reader = self._reader or self._open_reader()
            self._readings = self._reader()
        except Exception as error:  # the thread's border: drivers fail in ways of their own
            logger.warning("gpus cannot be read", error=repr(error))
            self._readings = ()
        self._read_at = self._clock()
