"""Waits for what happens to a file or in a folder, as the kernel tells it."""

import ctypes
import os
import select
from collections.abc import Callable
from enum import IntFlag
from pathlib import Path
from typing import Self

PATIENCE_SECONDS = 60.0


class Happening(IntFlag):
    """Kinds of events, by the numbers of inotify(7)."""

    CLOSE_READ = 0x10
    OPEN = 0x20
    CREATE = 0x100
    DELETE = 0x200


class Watch:
    """Looks again whenever something has happened to a path."""

    def __init__(self, path: Path, kinds: Happening) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init()
        libc.inotify_add_watch(self._descriptor, bytes(path), int(kinds))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Waits until something is so that only such events can make so."""
        while not is_so():
            readable, _, _ = select.select([self._descriptor], [], [], PATIENCE_SECONDS)
            assert readable, "nothing happens any more"
            os.read(self._descriptor, 2**16)  # of equal events in a row one is told
