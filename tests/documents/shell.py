"""Runs the documented commands in a shell."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.service import clean_environment

HERE = Path(__file__).parent
CURLRC = 'silent\nshow-error\nnoproxy = "*"\nwrite-out = "%{stderr}%{http_code} %{content_type}"\n'
STAND_IN = f'#!/bin/sh\nexec {sys.executable} {HERE / "curl.py"} "$@"\n'
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def http_status(self) -> int:
        """The status that curl was answered with."""
        return int(self.stderr.split()[0])

    @property
    def content_type(self) -> str:
        """The type of what curl was answered."""
        return self.stderr.partition(" ")[2]

    @property
    def json(self) -> Any:
        """The JSON object that was written."""
        return json.loads(self.stdout)


def run(command: str, folder: Path) -> Outcome:
    """Runs a command in a folder, and waits for its end.

    What a document keeps in `/path/to` lies in that folder.
    """
    done = subprocess.run(
        ["sh", "-c", placed(command, folder)],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def placed(command: str, folder: Path) -> str:
    """Returns a command with the paths of this machine."""
    return command.replace("/path/to/", f"{folder}/")


def environment(folder: Path) -> dict[str, str]:
    """Returns one in which a shell finds `telefuser` and `curl`."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / ".curlrc").write_text(CURLRC)
    if not shutil.which("curl"):
        install_stand_in(tools)
    places = [str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]
    own = {"PATH": os.pathsep.join(places), "CURL_HOME": str(tools), "PYTHONUTF8": "1"}
    return clean_environment() | own


def install_stand_in(folder: Path) -> None:
    """Puts a `curl` that needs nothing but Python into a folder."""
    path = folder / "curl"
    path.write_text(STAND_IN)
    path.chmod(0o755)
