"""Runs cases with the SDK of the environment it runs in, and prints a JSON line for each.

`python -m tests.conformance.python.run sync:images.generate_gives_urls async:…`; where the service
is and what it is called with stand in the variables that the SDK reads by itself.
"""

import asyncio
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.conformance.python.exchange import Exchange, Recorder

TIMEOUT_SECONDS = 30.0


class Run:
    """What a case is handed.

    Attributes:
        openai: The SDK.
        client: A client of it, with or without `async`.
        exchanges: What went over the wire during this case.
        media: The folder of `still.png`, `other.png`, `mask.png` and `clip.mp4`.
        folder: Where a case may write.
        dropping_url: Where the answer to a first try is lost.
        other_key: The key of somebody else.
    """

    def __init__(self, style: str, recorder: Recorder) -> None:
        import openai

        self.openai: ModuleType = openai
        self.exchanges: list[Exchange] = recorder.exchanges
        self.media = Path(os.environ["CONFORMANCE_MEDIA"])
        self.folder = Path(os.environ["CONFORMANCE_FOLDER"])
        self.dropping_url = os.environ["CONFORMANCE_DROPPING_URL"]
        self.other_key = os.environ["CONFORMANCE_OTHER_KEY"]
        self.style = style
        self._recorder = recorder
        self.client: Any = self._client(recorder)

    def _client(self, recorder: Recorder) -> Any:
        if self.style == "sync":
            http: Any = self.openai.DefaultHttpxClient(event_hooks=recorder.hooks)
            return self.openai.OpenAI(http_client=http, timeout=TIMEOUT_SECONDS)
        http = self.openai.DefaultAsyncHttpxClient(event_hooks=recorder.async_hooks)
        return self.openai.AsyncOpenAI(http_client=http, timeout=TIMEOUT_SECONDS)

    def on_refusal(self, act: Callable[[], None]) -> None:
        """Calls a function when the service says that it is busy."""
        self._recorder.on_refusal = act

    def once(self) -> Any:
        """Returns a client that does not try again."""
        return self.client.with_options(max_retries=0)

    def path(self, name: str) -> str:
        """Returns a path that no other case uses."""
        return str(self.folder / f"{name}-{time.monotonic_ns()}")


async def main(names: list[str]) -> None:
    """Runs cases in their order."""
    recorder = Recorder()
    runs: dict[str, Run] = {}
    for name in names:
        style, _, case = name.partition(":")
        run = runs.get(style) or runs.setdefault(style, Run(style, recorder))
        recorder.start()
        print(json.dumps({"case": name} | await _outcome(run, case)), flush=True)  # noqa: T201 - its output


async def _outcome(run: Run, case: str) -> dict[str, Any]:
    module, _, function = case.partition(".")
    try:
        await getattr(importlib.import_module(f"tests.conformance.python.{module}"), function)(run)
    except Exception:
        return {"failure": traceback.format_exc(), "wire": [str(each) for each in run.exchanges]}
    return {"failure": ""}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
