"""An event loop on a thread of its own, for a service whose methods may be plain or coroutines."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class StreamLoop:
    """Runs until it is closed; what may block its thread blocks nobody else."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, name=f"{name}-loop", daemon=True).start()

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Calls a function on this thread, awaits on the loop what it returns, gives the result."""
        result = function(*arguments, **options)
        if inspect.isawaitable(result):
            return asyncio.run_coroutine_threadsafe(_awaited(result), self._loop).result()
        self.post(_nothing)  # a loop that sleeps does not notice what was put into a queue of it
        return result

    def adopt_thread(self) -> None:
        """Lets plain functions on this thread that ask for an event loop get this one."""
        asyncio.set_event_loop(self._loop)

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Lets a coroutine run on the loop; a closed loop runs none."""
        try:
            asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # it is closed
            coroutine.close()

    def post(self, function: Callable[..., object], *arguments: Any) -> None:
        """Calls a function on the loop's thread, soon; a closed loop calls nothing."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # it is closed
            return

    def close(self) -> None:
        """Ends the loop, once its thread is at leisure, with all that still runs there."""
        self.post(self._loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._end_what_runs()
            self._loop.close()

    def _end_what_runs(self) -> None:
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())


async def _awaited(value: Any) -> Any:
    return await value


def _nothing() -> None:
    """Wakes a loop."""
