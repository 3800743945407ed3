"""Files that are whole and on the disk before they have their name."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from telefuser_grpc.errors import StorageFull

P = ParamSpec("P")
T = TypeVar("T")

logger = structlog.get_logger()


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a function in a thread, to its end also when the caller is cancelled meanwhile.

    So whoever cleans up after a cancelled call finds everything that the call has written.
    """
    loop = asyncio.get_running_loop()
    context = copy_context()  # the thread acts for the same caller
    work = loop.run_in_executor(None, lambda: context.run(function, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        work.exception()
        try:
            raise cancelled
        finally:
            del cancelled  # or it keeps the caller's buffers until the next collection
    return work.result()


@contextmanager
def writing() -> Iterator[None]:
    """Turns a disk that refuses a write into StorageFull."""
    try:
        yield
    except OSError as error:
        logger.warning("disk refuses a write", error=error.strerror)
        raise StorageFull from error


def make_folder(path: Path) -> None:
    """Makes a folder with its parents, durably."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def write_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Writes a new file; it is not durable before `publish`."""
    with path.open("xb") as file:
        for chunk in chunks:
            file.write(chunk)


def link_or_copy(source: Path, target: Path) -> None:
    """Gives a file that never changes a second name, or a copy where it cannot have one."""
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def publish(temporary: Path, path: Path) -> None:
    """Gives a file or folder its final name, durably."""
    sync(temporary)
    temporary.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_empty(*folders: Path) -> None:
    """Removes those of the folders that have nothing in them, in order."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
