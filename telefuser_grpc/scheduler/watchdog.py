"""Follows a run and ends it when it takes too long or steps stop coming."""

import asyncio
from collections.abc import AsyncIterator

from telefuser_grpc.domain.task import Preview, Progress
from telefuser_grpc.errors import TaskStalled, TaskTimeout
from telefuser_grpc.scheduler.ports import Run

PATIENCE = 10.0  # a step may take this many times the longest one so far


async def watched(
    run: Run, *, task_seconds: float, stall_seconds: float, stop_seconds: float
) -> AsyncIterator[Progress | Preview]:
    """Yields a run's updates; stops the run at a limit.

    Nothing is expected before the first step, while a pipeline may still be compiled, and after
    the last one, while it decodes.

    Raises:
        TaskTimeout, TaskStalled, and what `Run.updates` raises
    """
    deadline = _now() + task_seconds
    updates = aiter(run.updates())
    silence = stall_seconds
    quiet_until = deadline
    last_step = _now()
    while True:
        try:
            async with asyncio.timeout_at(min(deadline, quiet_until)):
                update = await anext(updates, None)
        except TimeoutError:
            await run.stop(stop_seconds)
            if _now() >= deadline:
                raise TaskTimeout(task_seconds) from None
            raise TaskStalled(silence) from None
        if update is None:
            return
        if isinstance(update, Progress):
            silence = max(silence, PATIENCE * (_now() - last_step))
            last_step = _now()
            quiet_until = last_step + silence if update.step < update.steps else deadline
        yield update


def _now() -> float:
    return asyncio.get_running_loop().time()
