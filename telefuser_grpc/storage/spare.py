"""Disk space held back beside the database: a full disk still takes what becomes of tasks."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

SPARE_BYTES = 2**20
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Spare:
    """A file that is given up when the disk is full, and made again when there is room.

    Where files cannot be given space beforehand there is nothing to give up, and nothing is lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_spent = False

    def hold(self) -> None:
        """Makes the file; it counts as spent if the disk has no room for it."""
        try:
            self._allocate()
        except OSError as error:
            self.give_up()
            self.is_spent = error.errno in FULL
        else:
            self.is_spent = False

    def hold_again(self) -> None:
        """Makes a spent file again once the disk has room for as much beside it."""
        if self.is_spent and shutil.disk_usage(self._path.parent).free >= 2 * SPARE_BYTES:
            self.hold()

    def give_up(self) -> None:
        """Leaves the space to whoever writes next."""
        with suppress(OSError):
            self._path.unlink()
        self.is_spent = True

    def _allocate(self) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, SPARE_BYTES)
        finally:
            os.close(descriptor)
