"""Follows a task to its end and fetches what it has made."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from telefuser_grpc.cli.output import print_error, print_json, size_text
from telefuser_grpc.cli.progress import display_of
from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import Task, TaskState

if TYPE_CHECKING:  # the client weighs more than most commands need
    from telefuser_grpc.client import Client

INTERRUPTED = 130


class Interrupted(KeyboardInterrupt):
    """Somebody has seen enough; the task goes on after `sequence`."""

    def __init__(self, sequence: int) -> None:
        super().__init__()
        self.sequence = sequence


def follow(client: "Client", task: Task, *, after: int = 0, as_json: bool = False) -> Task:
    """Shows a task until it has ended and returns it.

    Raises:
        Interrupted: At Ctrl-C.
    """
    seen = after
    try:
        with display_of(task, as_json=as_json) as display:
            for event in client.watch(task.id, after, previews=False):
                display.show(event)
                seen = event.sequence
    except KeyboardInterrupt:
        raise Interrupted(seen) from None
    return client.get(task.id)


def check_success(task: Task) -> None:
    """Ends the command with code 1 unless the task has made what it should."""
    if task.state is TaskState.COMPLETED:
        return
    why = f": {task.error.message} ({task.error.reason})" if task.error else ""
    print_error(f"{task.id} {task.state.value}{why}")
    raise typer.Exit(1)


def save(
    client: "Client", artifacts: Sequence[Artifact], target: Path, *, as_json: bool = False
) -> None:
    """Fetches artifacts to a path or into a folder and tells where they are."""
    for artifact in artifacts:
        path = _fetch(client, artifact, target, as_json=as_json)
        if as_json:
            print_json({"artifact_id": artifact.id, "path": str(path)})
        else:
            print(f"saved {path} ({size_text(artifact.size_bytes)})")


def _fetch(client: "Client", artifact: Artifact, target: Path, *, as_json: bool) -> Path:
    if as_json or not sys.stdout.isatty():
        return client.download(artifact.id, target)
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    with Progress(
        "{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), transient=True
    ) as bars:
        bar = bars.add_task(artifact.filename, total=artifact.size_bytes)
        return client.download(
            artifact.id, target, progress=lambda done, _: bars.update(bar, completed=done)
        )
