"""One attempt on a replica, as the server sees it."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from telefuser_grpc.domain.artifact import OutputFile
from telefuser_grpc.domain.job import Job, RunReport
from telefuser_grpc.domain.task import Preview, Progress
from telefuser_grpc.errors import TaskFailed
from telefuser_grpc.workers.outputs import check_outputs
from telefuser_grpc.workers.plausible import MAX_PREVIEW_BYTES, plausible


class LocalRun:
    """Implements the port `Run`; a replica process tells it what its frames say."""

    def __init__(
        self, job: Job, halt: Callable[["LocalRun", float], Coroutine[Any, Any, None]]
    ) -> None:
        self.job = job
        self.is_stopping = False
        self._halt = halt
        self._updates: deque[Progress | Preview] = deque()
        self._news = asyncio.Event()
        self._ended = asyncio.Event()
        self._report: RunReport | None = None
        self._files: tuple[OutputFile, ...] = ()
        self._error: TaskFailed | None = None

    @property
    def is_denoising(self) -> bool:
        """Tells whether the replica cannot take another job because of this one."""
        return self._report is None and not self.has_ended

    @property
    def batch_size(self) -> int:
        """How many jobs made these frames together, once they are made."""
        return self._report.batch_size if self._report else 0

    @property
    def has_ended(self) -> bool:
        """Tells whether nothing more will come."""
        return self._ended.is_set()

    async def updates(self) -> AsyncGenerator[Progress | Preview, None]:
        """Yields progress and previews until the frames are made."""
        while self._updates or self.is_denoising:
            await self._news.wait()
            self._news.clear()
            while self._updates:
                yield self._updates.popleft()
        self._raise_error()

    async def result(self) -> tuple[RunReport, Sequence[OutputFile]]:
        """Waits for the files, which are held to the job."""
        await self._ended.wait()
        self._raise_error()
        assert self._report is not None, "a run that ended without an error has a report"
        if self._files or self.job.output_name:
            await asyncio.to_thread(check_outputs, self._files, self.job)
        return self._report, self._files

    async def stop(self, grace_seconds: float) -> None:
        """Stops the attempt, or kills its replica after the grace."""
        self.is_stopping = True
        await self._halt(self, grace_seconds)

    async def ended(self) -> None:
        """Waits until the replica no longer works on the attempt."""
        await self._ended.wait()

    def update(self, change: Progress | Preview) -> None:
        """Takes a step or a preview; what comes after the frames is dropped."""
        if not self.is_denoising or _is_oversized(change):
            return
        self._updates.append(plausible(change) if isinstance(change, Progress) else change)
        self._news.set()

    def render(self, report: RunReport) -> None:
        """Notes that the frames are made, by one job at least."""
        self._report = replace(report, batch_size=max(1, report.batch_size))
        self._news.set()

    def finish(self, files: Sequence[OutputFile]) -> None:
        """Ends the run with its files."""
        self._files = tuple(files)
        self._end()

    def fail(self, error: TaskFailed) -> None:
        """Ends the run with an error unless it has ended."""
        if not self.has_ended:
            self._error = error
            self._end()

    def _end(self) -> None:
        self._ended.set()
        self._news.set()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _is_oversized(change: Progress | Preview) -> bool:
    return isinstance(change, Preview) and len(change.image) > MAX_PREVIEW_BYTES
