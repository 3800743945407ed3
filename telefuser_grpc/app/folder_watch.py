"""Tells when files in folders have been written or put in place, as the Linux kernel tells it."""

import asyncio
import ctypes
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

CLOSE_WRITE, MOVED_TO = 0x8, 0x80  # of inotify(7)
BUFFER_BYTES = 64 * 1024


class FolderWatch:
    """Calls a function in the event loop after something has happened.

    Folders are watched and not files: a file that is replaced is another file.
    """

    def __init__(self, folders: Iterable[Path], happened: Callable[[], None]) -> None:
        self._folders = tuple(folders)
        self._happened = happened
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Begins to watch. Raises OSError where the kernel cannot."""
        self._descriptor = _inotify_init()
        try:
            for folder in self._folders:
                _add(self._descriptor, folder)
        except OSError:
            os.close(self._descriptor)
            raise
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> None:
        os.read(self._descriptor, BUFFER_BYTES)
        self._happened()


def _inotify_init() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        raise OSError("only Linux tells of files that change")
    return _checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))


def _add(descriptor: int, folder: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.inotify_add_watch(descriptor, os.fsencode(folder), CLOSE_WRITE | MOVED_TO))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
