"""Runs cases in the environment of an SDK, against a service of its own."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conformance.dropper import Dropper
from tests.conformance.environments import environment
from tests.conformance.sdks import Sdk
from tests.fakes.media_files import mp4, still
from tests.fakes.service import Service, clean_environment

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
PATIENCE_SECONDS = 10.0
KEY, OTHER_KEY = "conformance-key-of-ada", "conformance-key-of-ben"
SETTINGS = {
    "max_queue_size": 6,
    "preview_interval": 0,
    "cancel_timeout": 2,
    "api_keys": f"ada:{KEY}, ben:{OTHER_KEY}",
    "rate_limit_enabled": True,
    "rate_limit_rpm": 300,
    "rate_limit_burst": 0,
    "rate_limit_window_size": 10,
}


class Driver:
    """A process that runs cases one after the other, and prints how each went."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._outcomes: dict[str, Mapping[str, Any]] = {}

    def outcome(self, case: str) -> Mapping[str, Any]:
        """Waits until a case has been run."""
        assert self._process.stdout is not None
        while case not in self._outcomes:
            line = self._process.stdout.readline()
            assert line, f"the driver has ended with {self._process.wait(PATIENCE_SECONDS)}"
            outcome = json.loads(line)
            self._outcomes[outcome["case"]] = outcome
        return self._outcomes[case]


@contextmanager
def running(sdk: Sdk, cases: Sequence[str], folder: Path) -> Iterator[Driver]:
    """Runs cases with an SDK, in their order; `folder` is where they and the service write."""
    command = [*_command(sdk, environment(sdk)), *cases]
    service = Service(HERE / "pipeline.py", folder, **SETTINGS)
    with service, Dropper(service.port) as dropper:
        variables = _variables(service, dropper, folder)
        with subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=clean_environment() | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            yield Driver(process)
            process.terminate()


def _command(sdk: Sdk, environment: Path) -> list[str]:
    if sdk.language == "python":
        return [str(environment / "bin" / "python"), "-m", "tests.conformance.python.run"]
    return [str(environment / "bin" / "node"), str(HERE / "node" / "run.mjs"), str(environment)]


def _variables(service: Service, dropper: Dropper, folder: Path) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": f"http://{service.target}/v1",
        "OPENAI_API_KEY": KEY,
        "CONFORMANCE_OTHER_KEY": OTHER_KEY,
        "CONFORMANCE_DROPPING_URL": f"http://{dropper.target}/v1",
        "CONFORMANCE_MEDIA": str(_media(folder / "media")),
        "CONFORMANCE_FOLDER": str(folder),
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": "127.0.0.1",
    }


def _media(folder: Path) -> Path:
    folder.mkdir()
    (folder / "still.png").write_bytes(still(width=64, height=48))
    (folder / "other.png").write_bytes(still(width=48, height=64))
    (folder / "mask.png").write_bytes(still(width=64, height=48))
    (folder / "clip.mp4").write_bytes(mp4(frames=8, width=64, height=48))
    return folder
