"""The verbs that use a running service."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telefuser_grpc.cli.following import INTERRUPTED, Interrupted, check_success, follow, save
from telefuser_grpc.cli.options import (
    DEFAULT_SERVER,
    JsonOption,
    ServerOption,
    TaskIdArgument,
    parse_inputs,
    parse_parameters,
)
from telefuser_grpc.cli.output import artifact_text, fail, print_columns, print_json, task_facts
from telefuser_grpc.cli.output import task_row as row
from telefuser_grpc.cli.records import queue_json, task_json
from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import TaskState
from telefuser_grpc.errors import TaskNotFound, Unauthenticated

if TYPE_CHECKING:  # the client weighs more than most commands need
    from telefuser_grpc.client import Client

API_KEY = "TELEFUSER_API_KEY"
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Save what was made to this file or folder."),
]


def submit(
    prompt: Annotated[str, typer.Argument(help="What to show, in words.")],
    task: Annotated[
        str, typer.Option("--task", "-t", help="Kind of task, as t2v or t2i.", metavar="KIND")
    ] = "",
    negative_prompt: Annotated[
        str, typer.Option("--negative-prompt", help="What not to show, in words.")
    ] = "",
    seed: Annotated[int | None, typer.Option("--seed", help="Makes it repeatable.")] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the pipeline."),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", "-i", metavar="FIELD=FILE", help="Media, as first_image_path=cat.png."
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch/--no-watch", help="Follow the task, or only submit it.")
    ] = True,
    output: OutputOption = None,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
) -> None:
    """Submit a task and watch it become a video or an image.

    Without --watch the id is printed at once. Exits with 1 if the task fails.
    """
    if output and not watch:
        raise typer.BadParameter("needs --watch", param_hint="--output")
    with _client(server) as client:
        created = client.create(
            task.lower(),
            prompt,
            negative_prompt=negative_prompt,
            seed=seed,
            parameters=parse_parameters(parameters or []),
            inputs=parse_inputs(inputs or []),
        )
        if watch:
            _follow(client, created.id, output=output, as_json=as_json)
        elif as_json:
            print_json(task_json(created))
        else:
            print(created.id)


def watch(
    task_id: TaskIdArgument,
    after: Annotated[
        int, typer.Option("--after", min=0, help="Leave out events up to this number.")
    ] = 0,
    output: OutputOption = None,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
) -> None:
    """Watch a task to its end. Exits with 1 if it fails."""
    with _client(server) as client:
        _follow(client, task_id, after=after, output=output, as_json=as_json)


def get(
    task_id: TaskIdArgument, as_json: JsonOption = False, server: ServerOption = DEFAULT_SERVER
) -> None:
    """Show a task as it is now."""
    with _client(server) as client:
        task = client.get(task_id)
    if as_json:
        print_json(task_json(task))
    else:
        print_columns(task_facts(task))


def list_tasks(
    states: Annotated[
        list[TaskState] | None, typer.Option("--state", help="Only tasks in this state.")
    ] = None,
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", "-k", help="Only tasks of this kind.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
) -> None:
    """List tasks, the newest first."""
    with _client(server) as client:
        pages = client.list(states or (), kinds or (), page_size=min(limit, 500))
        tasks = list(islice(pages, limit))
    if as_json:
        for task in tasks:
            print_json(task_json(task))
    else:
        print_columns([("TASK", "KIND", "STATE", "STEPS", "CREATED"), *map(row, tasks)])


def cancel(
    task_id: TaskIdArgument, as_json: JsonOption = False, server: ServerOption = DEFAULT_SERVER
) -> None:
    """Stop a task: at once if it waits, at its next step if it runs."""
    with _client(server) as client:
        task = client.cancel(task_id)
    if as_json:
        print_json(task_json(task))
    else:
        print(f"{task.id} {task.state.value}")


def download(
    name: Annotated[
        str, typer.Argument(metavar="TASK_ID|ARTIFACT", help="A task, or a file that one made.")
    ],
    output: OutputOption = None,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
) -> None:
    """Fetch what a task has made; a broken download goes on where it stopped."""
    with _client(server) as client:
        save(client, _artifacts(client, name), output or Path(), as_json=as_json)


def queue(as_json: JsonOption = False, server: ServerOption = DEFAULT_SERVER) -> None:
    """Show what runs and what waits."""
    with _client(server) as client:
        now = client.queue()
    if as_json:
        print_json(queue_json(now))
        return
    print(f"{len(now.running)} running, {len(now.waiting)} waiting, room for {now.limit}")
    for task_id in now.running:
        print(f"  running  {task_id}")
    for each in now.waiting:
        print(f"  {each.position:>7}  {each.task_id}")


@contextmanager
def _client(server: str) -> Iterator["Client"]:
    from telefuser_grpc.client import Client

    with Client(server, api_key=os.environ.get(API_KEY, "").strip()) as client:
        try:
            yield client
        except Unauthenticated as error:
            fail(f"{error.message} ({API_KEY} holds the key that this command sends)")


def _follow(
    client: "Client", task_id: str, *, after: int = 0, output: Path | None, as_json: bool
) -> None:
    try:
        task = follow(client, client.get(task_id), after=after, as_json=as_json)
    except Interrupted as seen:
        again = f"telefuser watch {task_id} --after {seen.sequence}"
        print(f"\nThe task goes on. See it again with: {again}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json(task_json(task))
    check_success(task)
    if output:
        save(client, task.artifacts, output, as_json=as_json)
    elif not as_json:
        for artifact in task.artifacts:
            print(f"made {artifact_text(artifact)}")
        print(f"save it with: telefuser download {task.id}")


def _artifacts(client: "Client", name: str) -> tuple[Artifact, ...]:
    if name.startswith("local:") or "/" in name:
        return (client.artifact(name),)
    try:
        task = client.get(name)
    except TaskNotFound:
        return (client.artifact(name),)
    if not task.artifacts:
        fail(f"{task.id} is {task.state.value} and has made no file")
    return task.artifacts
