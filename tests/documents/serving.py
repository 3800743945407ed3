"""Services that the documented commands start."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.documents.shell import environment, placed
from tests.end_to_end.sse import read_events
from tests.fakes.media_files import still
from tests.fakes.service import Log, Service

PIPELINES = Path(__file__).parent / "pipelines"
EVERY_TASK = PIPELINES / "every_task.py"
PLAIN = PIPELINES / "plain.py"
FUNCTIONS = PIPELINES / "functions.py"
TALK = Path(__file__).parents[1] / "fakes" / "stream_files" / "talk.py"
DEFAULT_CACHE = "work_dirs/server_cache"
PORT = re.compile(r"(--port|-p) \d+|(TELEFUSER_PORT)=\d+")
EXAMPLES = (
    "pipeline.py",
    "examples/wan_video/wan21_14b_image_to_video_h100.py",
    "examples/wan_video/wan22_14b_image_to_video_distill_h100.py",
    "examples/qwen_image/qwen_image_pipeline.py",
)


class Served(Service):
    """What a command starts in a folder, on a port of its own.

    Args:
        tells_port: Whether the environment names the port, for a command that names none.
        variables: Goes into its environment too.
        settings: Likewise, by the names of `Settings`.
    """

    def __init__(
        self,
        command: str,
        folder: Path,
        *,
        tells_port: bool = True,
        variables: Mapping[str, str] | None = None,
        **settings: object,
    ) -> None:
        super().__init__(None, folder, cache_dir=folder / DEFAULT_CACHE)
        self.command = placed(self.at_own_port(command), folder)
        told = settings | ({"port": self.port} if tells_port else {})
        own = {f"TELEFUSER_{name.upper()}": str(each) for name, each in told.items()}
        self._environment = environment(folder) | own | (variables or {})

    def at_own_port(self, text: str) -> str:
        """Returns what names a port with the service's own."""

        def own(named: re.Match[str]) -> str:
            return f"{named[1]} {self.port}" if named[1] else f"{named[2]}={self.port}"

        return PORT.sub(own, text)

    def launch(self) -> None:
        """Runs the command in a shell and waits for nothing."""
        self.process = subprocess.Popen(
            ["sh", "-c", self.command],
            cwd=self.folder,
            env=self._environment | {"TELEFUSER_LOG_FORMAT": "json"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stderr is not None
        self.log = Log(self.process.stderr)


def lay_out(folder: Path, pipeline: Path = EVERY_TASK) -> Path:
    """Makes a folder as the documents have it: pipeline files and an image."""
    for name in EXAMPLES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pipeline.read_bytes())
    (folder / "input.jpg").write_bytes(still("JPEG", width=40, height=30))
    return folder


def lay_out_stream(folder: Path) -> Path:
    """Makes a folder as the documents have it: a file that talks to its clients."""
    path = folder / "examples/stream_server/stream_lingbot_world_fast.py"
    path.parent.mkdir(parents=True)
    path.write_bytes(TALK.read_bytes())
    return folder


def await_run(http: httpx.Client, task_id: str) -> None:
    """Waits until a task is known to run."""
    with http.stream("GET", f"/v1/tasks/{task_id}/events") as answer:
        next(event for event in read_events(answer) if event.name == "progress")


def finish(http: httpx.Client, task_id: str) -> None:
    """Waits for a task's end."""
    assert http.get(f"/v1/tasks/{task_id}/events").status_code == 200
