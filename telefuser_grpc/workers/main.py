"""A replica's process: loads one pipeline, then runs what the server sends until that goes."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

import structlog

from telefuser_grpc.errors import TaskFailed
from telefuser_grpc.pipeline.context import RunContext, Signal
from telefuser_grpc.pipeline.context_parallel import Meeting
from telefuser_grpc.pipeline.encode import encode
from telefuser_grpc.pipeline.loader import LoadedPipeline, PipelineLoadError
from telefuser_grpc.pipeline.rendering import Rendering
from telefuser_grpc.pipeline.runner import render, render_batch
from telefuser_grpc.workers.attempt import Attempt
from telefuser_grpc.workers.channel import ProtocolError, ReplicaChannel
from telefuser_grpc.workers.child import exit_after, live
from telefuser_grpc.workers.loading import load_as_ordered, settle
from telefuser_grpc.workers.messages import Load, LoadFailed, Ready
from telefuser_grpc.workers.ranks import Ranks, start_ranks
from telefuser_grpc.workers.worker import DeviceLost, Worker

logger = structlog.get_logger()


def serve(descriptor: int, *, on_end: Callable[[], None]) -> NoReturn:
    """Serves the socket with this number, then ends the process after calling `on_end`."""
    live(descriptor, lambda end: _serve(ReplicaChannel(end)), on_end=on_end)


def _serve(channel: ReplicaChannel) -> None:
    order = channel.receive()
    if not isinstance(order, Load):
        return
    worker: Worker[Rendering] = Worker(channel, encode=encode)
    threading.Thread(target=_listen, args=(worker,), name="listen", daemon=True).start()
    ranks, meeting = start_ranks(order, refuse=lambda why: _refuse(channel, why), leave=_leave)
    loaded = _load(channel, order, ranks, meeting)
    encoding = threading.Thread(target=_encode, args=(worker,), name="encode", daemon=True)
    encoding.start()
    try:
        worker.denoise(
            lambda attempt: _render(loaded, ranks, attempt, order),
            lambda attempts: _render_together(loaded, ranks, attempts, order),
        )
    except DeviceLost as loss:
        encoding.join()
        sys.exit(f"the device is lost: {loss}")
    encoding.join()
    loaded.close()


def _load(
    channel: ReplicaChannel, order: Load, ranks: Ranks, meeting: Meeting | None
) -> LoadedPipeline:
    try:
        loaded = load_as_ordered(order, meeting)
        ranks.wait_until_loaded()
    except PipelineLoadError as error:
        _tell_refusal(channel, str(error))
        sys.exit(1)
    try:
        channel.send(Ready(loaded.contract))
    except (TypeError, ValueError, ProtocolError) as error:
        _tell_refusal(channel, f"Pipeline contract cannot be sent: {error}")
        sys.exit(1)
    settle()
    return loaded


def _render(loaded: LoadedPipeline, ranks: Ranks, attempt: Attempt, order: Load) -> Rendering:
    with ranks.together([attempt.job], [attempt.cancelled]) as (cancelled,):
        return render(loaded, attempt.job, _context(attempt, cancelled, order))


def _render_together(
    loaded: LoadedPipeline, ranks: Ranks, attempts: Sequence[Attempt], order: Load
) -> list[Rendering | TaskFailed]:
    jobs = [attempt.job for attempt in attempts]
    with ranks.together(jobs, [attempt.cancelled for attempt in attempts]) as cancels:
        return render_batch(
            loaded,
            jobs,
            [_context(each, cancel, order) for each, cancel in zip(attempts, cancels, strict=True)],
        )


def _context(attempt: Attempt, cancelled: Signal, order: Load) -> RunContext:
    return RunContext(
        report=attempt.report,
        cancelled=cancelled,
        preview_interval_seconds=order.preview_interval_seconds,
    )


def _listen(worker: Worker[Rendering]) -> None:
    """Takes frames; the end of file ends the process at once, in the middle of whatever it does."""

    def listen() -> None:
        worker.listen()
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)

    exit_after(listen)


def _encode(worker: Worker[Rendering]) -> None:
    try:
        worker.encode()
    except BaseException:
        logger.exception("encoder broke")
        os._exit(1)


def _refuse(channel: ReplicaChannel, why: str) -> NoReturn:
    _tell_refusal(channel, why)
    os._exit(1)


def _tell_refusal(channel: ReplicaChannel, why: str) -> None:
    channel.send(LoadFailed(why.encode(errors="replace").decode()))


def _leave(why: str) -> NoReturn:
    logger.error("replica leaves", why=why)
    os._exit(1)
