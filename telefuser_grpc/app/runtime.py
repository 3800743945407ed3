"""The folder of the server's sockets, outside of the cache: their paths must be short."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "telefuser-"


@contextmanager
def runtime_folder(root: Path) -> Iterator[Path]:
    """Makes a folder that goes with the block; that of a killed server of this root goes now."""
    mark = root / "runtime"
    _remove_left(mark)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        mark.symlink_to(folder)
        yield Path(folder)
    mark.unlink(missing_ok=True)


def _remove_left(mark: Path) -> None:
    if not mark.is_symlink():
        return
    folder = mark.readlink()
    if folder.parent == Path(tempfile.gettempdir()) and folder.name.startswith(PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
    mark.unlink()
