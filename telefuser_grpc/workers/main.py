"""A replica's process: loads one pipeline, then runs what the server sends until that goes."""

import contextlib
import ctypes
import faulthandler
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import structlog

from telefuser_grpc.errors import TaskFailed
from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.context import RunContext
from telefuser_grpc.pipeline.encode import encode
from telefuser_grpc.pipeline.loader import LoadedPipeline, PipelineLoadError, load
from telefuser_grpc.pipeline.rendering import Rendering
from telefuser_grpc.pipeline.runner import render, render_batch
from telefuser_grpc.pipeline.warmup import warm_up
from telefuser_grpc.workers.attempt import Attempt
from telefuser_grpc.workers.channel import ProtocolError, ReplicaChannel
from telefuser_grpc.workers.messages import Load, LoadFailed, Ready
from telefuser_grpc.workers.worker import DeviceLost, Worker

logger = structlog.get_logger()

PR_SET_PDEATHSIG = 1


def serve(descriptor: int, *, on_end: Callable[[], None]) -> NoReturn:
    """Serves the socket with this number, then ends the process after calling `on_end`."""
    faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the server, which decides
        signal.signal(number, signal.SIG_IGN)
    _die_with_server()
    end = socket.socket(fileno=descriptor)
    end.set_inheritable(False)

    def work() -> None:
        try:
            _serve(ReplicaChannel(end))
        finally:
            on_end()

    _exit_after(work)


def _serve(channel: ReplicaChannel) -> None:
    order = channel.receive()
    if not isinstance(order, Load):
        return
    worker: Worker[Rendering] = Worker(channel, encode=encode)
    threading.Thread(target=_listen, args=(worker,), name="listen", daemon=True).start()
    loaded = _load(channel, order)
    encoding = threading.Thread(target=_encode, args=(worker,), name="encode", daemon=True)
    encoding.start()
    try:
        worker.denoise(
            lambda attempt: render(loaded, attempt.job, _context(attempt, order)),
            lambda attempts: _render_together(loaded, attempts, order),
        )
    except DeviceLost as loss:
        encoding.join()
        sys.exit(f"the device is lost: {loss}")
    encoding.join()
    loaded.close()


def _load(channel: ReplicaChannel, order: Load) -> LoadedPipeline:
    try:
        loaded = load(
            Path(order.pipeline),
            task=order.task,
            parallelism=order.parallelism,
            options=order.options,
        )
        if order.warmup:
            warm_up(loaded)
    except PipelineLoadError as error:
        if error.__cause__ and not isinstance(error, ModelUnusable):  # that one says all there is
            logger.error("pipeline file raised", exc_info=error.__cause__)
        channel.send(LoadFailed(str(error).encode(errors="replace").decode()))
        sys.exit(1)
    try:
        channel.send(Ready(loaded.contract))
    except (TypeError, ValueError, ProtocolError) as error:
        channel.send(LoadFailed(f"Pipeline contract cannot be sent: {error}"))
        sys.exit(1)
    gc.collect()
    gc.freeze()  # a loaded pipeline is for ever: later collections need not walk it
    return loaded


def _render_together(
    loaded: LoadedPipeline, attempts: Sequence[Attempt], order: Load
) -> list[Rendering | TaskFailed]:
    jobs = [attempt.job for attempt in attempts]
    return render_batch(loaded, jobs, [_context(attempt, order) for attempt in attempts])


def _context(attempt: Attempt, order: Load) -> RunContext:
    return RunContext(
        report=attempt.report,
        cancelled=attempt.cancelled,
        preview_interval_seconds=order.preview_interval_seconds,
    )


def _listen(worker: Worker[Rendering]) -> None:
    """Takes frames; the end of file ends the process at once, in the middle of whatever it does."""

    def listen() -> None:
        worker.listen()
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)

    _exit_after(listen)


def _encode(worker: Worker[Rendering]) -> None:
    try:
        worker.encode()
    except BaseException:
        logger.exception("encoder broke")
        os._exit(1)


def _exit_after(work: Callable[[], None]) -> NoReturn:
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


def _die_with_server() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
