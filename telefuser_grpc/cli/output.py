"""What the commands print for people, and errors for everybody."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import typer

from telefuser_grpc.domain.artifact import Artifact
from telefuser_grpc.domain.task import Progress, Task
from telefuser_grpc.errors import Violation


def print_error(message: str, violations: Sequence[Violation] = ()) -> None:
    """Prints `error: …` on stderr, and each wrong field on a line of its own."""
    print(f"error: {message}", file=sys.stderr)
    lines = [f"{each.field}: {each.message}" for each in violations]
    if lines != [message]:
        for line in lines:
            print(f"  {line}", file=sys.stderr)


def print_warning(message: str) -> None:
    """Prints `warning: …` on stderr."""
    print(f"warning: {message}", file=sys.stderr)


def fail(message: str) -> NoReturn:
    """Ends the command with an error."""
    print_error(message)
    raise typer.Exit(1)


def print_json(value: dict[str, Any]) -> None:
    """Prints one JSON object on one line."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def print_columns(rows: Iterable[Sequence[str]]) -> None:
    """Prints rows of text with the columns aligned."""
    lines = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def task_row(task: Task) -> tuple[str, ...]:
    """Returns a task's line of a listing."""
    created = task.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return (task.id, task.kind, task.state, progress_text(task.progress), created)


def task_facts(task: Task) -> list[tuple[str, str]]:
    """Returns what there is to say of a task, as name and text."""
    facts: list[tuple[str, str]] = [
        ("task", task.id),
        ("kind", task.kind),
        ("state", task.state),
        ("created", task.created_at.astimezone().isoformat(timespec="seconds")),
    ]
    if task.progress:
        facts.append(("progress", progress_text(task.progress)))
    facts += [(name, str(value)) for name, value in task.fields.items()]
    facts += list(task.inputs.items())
    if task.inference_seconds is not None:
        facts.append(("ran for", f"{task.inference_seconds:.1f} s"))
    if task.error:
        facts.append(("error", f"{task.error.message} ({task.error.reason})"))
    facts += [("made", artifact_text(each)) for each in task.artifacts]
    return facts


def progress_text(progress: Progress | None) -> str:
    """Returns how far a task is, `-` before its first step."""
    if progress is None:
        return "-"
    return f"{progress.step}/{progress.steps}" if progress.steps else str(progress.step)


def artifact_text(artifact: Artifact) -> str:
    """Returns an artifact's name and size for people."""
    facts = artifact.facts
    parts = [size_text(artifact.size_bytes)]
    if facts.width:
        parts.append(f"{facts.width}x{facts.height}")
    if facts.frame_count > 1:
        parts.append(f"{facts.frame_count} frames")
    return f"{artifact.id} ({', '.join(parts)})"


def size_text(size_bytes: int) -> str:
    """Returns a size for people."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1000:.0f} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"
