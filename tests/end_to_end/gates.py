"""Gates at which the puppet pipeline waits, so that a test can act at a chosen moment of a run."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self


class Gate:
    """A FIFO: whoever reads from it waits until the gate is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        os.mkfifo(path)

    def __str__(self) -> str:
        return str(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.open()

    def wait_for_visitor(self) -> None:
        """Returns when a process waits at the gate; one that had come before is let through."""
        self._release()
        self._descriptor = os.open(self._path, os.O_WRONLY)

    def open(self) -> None:
        """Lets everybody pass from now on."""
        if self._path.is_fifo():
            waiting = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
            opened = self._path.with_suffix(".open")
            opened.touch()
            opened.replace(self._path)
            os.close(waiting)
        self._release()

    def _release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
