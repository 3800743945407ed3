"""Runs cases in the environment of an SDK, against a service of its own."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.conformance.dropper import Dropper
from tests.conformance.environments import environment
from tests.conformance.sdks import Sdk
from tests.fakes.media_files import mp4, still
from tests.fakes.service import Service, clean_environment

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
PATIENCE_SECONDS = 10.0
SETTINGS = {"max_queue_size": 6, "preview_interval": 0, "cancel_timeout": 2}


class Driver:
    """Runs the cases in the order in which they are named; an outcome can be waited for.

    Args:
        folder: Where the service and the cases write.
    """

    def __init__(self, sdk: Sdk, cases: Sequence[str], folder: Path) -> None:
        self._command = [*_command(sdk, environment(sdk)), *cases]
        self._folder = folder
        self._service = Service(HERE / "pipeline.py", folder, **SETTINGS)
        self._dropper = Dropper(self._service.port)
        self._outcomes: dict[str, Mapping[str, Any]] = {}

    def __enter__(self) -> Self:
        self._service.__enter__()
        self._dropper.__enter__()
        self._process = subprocess.Popen(
            self._command,
            cwd=CHECKOUT,
            env=clean_environment() | self._variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.communicate()
        self._dropper.__exit__(kind, error, trace)
        self._service.__exit__(kind, error, trace)

    def outcome(self, case: str) -> Mapping[str, Any]:
        """Waits until a case has been run."""
        assert self._process.stdout is not None
        while case not in self._outcomes:
            line = self._process.stdout.readline()
            assert line, f"the driver has ended with {self._process.wait(PATIENCE_SECONDS)}"
            outcome = json.loads(line)
            self._outcomes[outcome["case"]] = outcome
        return self._outcomes[case]

    def _variables(self) -> dict[str, str]:
        return {
            "OPENAI_BASE_URL": f"http://{self._service.target}/v1",
            "OPENAI_API_KEY": "conformance",
            "CONFORMANCE_DROPPING_URL": f"http://{self._dropper.target}/v1",
            "CONFORMANCE_MEDIA": str(_media(self._folder / "media")),
            "CONFORMANCE_FOLDER": str(self._folder),
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_PROXY": "127.0.0.1",
        }


def _command(sdk: Sdk, environment: Path) -> list[str]:
    if sdk.language == "python":
        return [str(environment / "bin" / "python"), "-m", "tests.conformance.python.run"]
    return [str(environment / "bin" / "node"), str(HERE / "node" / "run.mjs"), str(environment)]


def _media(folder: Path) -> Path:
    folder.mkdir()
    (folder / "still.png").write_bytes(still(width=64, height=48))
    (folder / "other.png").write_bytes(still(width=48, height=64))
    (folder / "mask.png").write_bytes(still(width=64, height=48))
    (folder / "clip.mp4").write_bytes(mp4(frames=8, width=64, height=48))
    return folder
