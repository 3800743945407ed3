"""What every process that a replica is made of does first and last."""

import contextlib
import ctypes
import faulthandler
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import NoReturn

import structlog

logger = structlog.get_logger()

PR_SET_PDEATHSIG = 1


def live(
    descriptor: int, work: Callable[[socket.socket], None], *, on_end: Callable[[], None]
) -> NoReturn:
    """Works with the socket of this number, then ends the process after calling `on_end`.

    The process dies with the one that started it, and leaves signals to that.
    """
    faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the server, which decides
        signal.signal(number, signal.SIG_IGN)
    _die_with_parent()
    end = socket.socket(fileno=descriptor)
    end.set_inheritable(False)

    def work_and_end() -> None:
        try:
            work(end)
        finally:
            on_end()

    exit_after(work_and_end)


def exit_after(work: Callable[[], None]) -> NoReturn:
    """Ends the process after some work, without waiting for the threads of the pipeline."""
    status = 1
    try:
        work()
        status = 0
    except SystemExit as leaving:
        status = _status_of(leaving)
    except BaseException:
        logger.exception("replica broke")
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # the pipeline may have closed or replaced them
                stream.flush()
        os._exit(status)


def _status_of(leaving: SystemExit) -> int:
    if isinstance(leaving.code, str):
        logger.error("replica leaves", why=leaving.code)
    return leaving.code if isinstance(leaving.code, int) else 1


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
