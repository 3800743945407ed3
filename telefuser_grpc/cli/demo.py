"""`telefuser demo`: starts a small model, makes a video with it, and shows what to try next."""

import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telefuser_grpc.cli.following import INTERRUPTED, check_success, follow, save
from telefuser_grpc.cli.output import fail

if TYPE_CHECKING:  # the client weighs more than most commands need
    from telefuser_grpc.client import Client

PROMPT = "a red circle moving right on a navy background"
START_SECONDS = 180.0
STOP_SECONDS = 30.0
LOG = "service.log"


def demo(
    prompt: Annotated[
        str, typer.Argument(help="A colour, a shape, a motion and a background.")
    ] = PROMPT,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to save the video.")] = Path(
        "telefuser-demo.mp4"
    ),
    keep_serving: Annotated[
        bool, typer.Option("--keep-serving", help="Leave the service running until Ctrl-C.")
    ] = False,
) -> None:
    """See it work: start a small model, make a video with it, stop again.

    The service has its defaults: neither TELEFUSER_<NAME> nor a file `.env` changes it.
    """
    try:
        _demonstrate(prompt, output, keep_serving=keep_serving)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _demonstrate(prompt: str, output: Path, *, keep_serving: bool) -> None:
    from telefuser_grpc.client import Client

    with (
        tempfile.TemporaryDirectory(prefix="telefuser-demo-") as folder,
        _service(Path(folder), port := _free_port()) as service,
        Client(f"127.0.0.1:{port}") as client,
    ):
        _wait_until_ready(service, client, Path(folder))
        print(f'making "{prompt}"', flush=True)
        task = follow(client, client.create("t2v", prompt))
        check_success(task)
        save(client, task.artifacts, output)
        print(_next_steps(prompt, port if keep_serving else 8000))
        if keep_serving:
            print(f"serving on http://127.0.0.1:{port} until Ctrl-C", flush=True)
            service.wait()


@contextmanager
def _service(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    from telefuser_grpc.config import PREFIX

    environment = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)
    }
    with (folder / LOG).open("wb") as log:
        service = subprocess.Popen(
            _command(port, folder / "cache"),
            cwd=folder,  # a `.env` of the caller's is for the caller's service
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours to hear; the service is told to stop below
        )
        try:
            yield service
        finally:
            _stop(service)


def _command(port: int, cache: Path) -> list[str]:
    from telefuser_grpc.config import served_file

    command = [sys.executable, "-m", "telefuser_grpc.cli.main", "serve", str(served_file(None))]
    return [*command, "--host", "127.0.0.1", "--port", str(port), "--cache-dir", str(cache)]


def _stop(service: subprocess.Popen[bytes]) -> None:
    service.terminate()
    try:
        service.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        service.kill()
        service.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(service: subprocess.Popen[bytes], client: "Client", folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    said = ""
    while message := _what_is_missing(client):
        if message != said:
            print(message, flush=True)
            said = message
        if time.monotonic() > deadline:
            fail(f"the service was not ready within {START_SECONDS:.0f} s: {message}")
        if _has_ended(service):
            fail(f"the service ended while it started:\n{_last_lines(folder / LOG)}")


def _what_is_missing(client: "Client") -> str:
    from telefuser_grpc.errors import Unavailable

    try:
        readiness = client.ready()
    except Unavailable:
        return "starting the service"
    return "" if readiness.is_ready else f"waiting: {readiness.message}"


def _has_ended(service: subprocess.Popen[bytes]) -> bool:
    """Gives the service a moment, which ends early if it dies."""
    try:
        service.wait(0.25)
    except subprocess.TimeoutExpired:
        return False
    return True


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])


def _next_steps(prompt: str, port: int) -> str:
    body = shlex.quote(json.dumps({"task": "t2v", "prompt": prompt}))
    words = shlex.quote(prompt)
    return f"""
Try next

  serve it yourself    telefuser serve
  submit and watch     telefuser submit {words} -o video.mp4 -s 127.0.0.1:{port}
  with curl            curl http://127.0.0.1:{port}/v1/tasks/create \\
                            -H 'content-type: application/json' -d {body}
  with Python          from pathlib import Path
                       from telefuser_grpc.client import Client

                       with Client("127.0.0.1:{port}") as client:
                           task = client.wait(client.create("t2v", {prompt!r}).id)
                           client.download(task.artifacts[0].id, Path("video.mp4"))
"""
