"""Shows what happens to a task: a bar on a terminal, lines elsewhere, JSON for programs."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from telefuser_grpc.cli.output import print_json
from telefuser_grpc.cli.records import event_json
from telefuser_grpc.domain.task import Preview, Progress, StateChange, Task, TaskEvent, TaskState

if TYPE_CHECKING:  # rich is loaded only where there is a terminal
    from rich.progress import Progress as Bars


class Display(Protocol):
    """Shows the events of one task, inside a `with`."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, event: TaskEvent) -> None:
        """Shows one event."""
        ...


def display_of(task: Task, *, as_json: bool = False) -> Display:
    """Returns what fits the standard output."""
    if as_json:
        return JsonDisplay()
    if sys.stdout.isatty():
        return BarDisplay(task)
    return LineDisplay()


class _Plain:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class JsonDisplay(_Plain):
    """One JSON object per event."""

    def show(self, event: TaskEvent) -> None:
        """Prints the event."""
        print_json(event_json(event))


class LineDisplay(_Plain):
    """One line per event."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def show(self, event: TaskEvent) -> None:
        """Prints the event with the seconds since the watching began."""
        if text := _text(event.change):
            print(f"[{time.monotonic() - self._began:6.1f} s] {event.task_id} {text}", flush=True)


class BarDisplay:
    """A bar that fills with the steps."""

    def __init__(self, task: Task) -> None:
        self._bars = _bars()
        self._bar = self._bars.add_task(_label(task.state), total=None, steps="", left="")
        if task.progress:
            self._advance(task.progress)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def show(self, event: TaskEvent) -> None:
        """Moves the bar."""
        match event.change:
            case StateChange(state=state):
                self._bars.update(self._bar, description=_label(state), left="")
            case Progress() as progress:
                self._advance(progress)

    def _advance(self, progress: Progress) -> None:
        self._bars.update(
            self._bar,
            description=progress.stage,
            completed=progress.step,
            total=progress.steps or None,
            steps=f"{progress.step}/{progress.steps}" if progress.steps else f"{progress.step}",
            left=_left(progress),
        )


def _bars() -> "Bars":
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    return Bars(
        SpinnerColumn(),
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[steps]}"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[left]}"),
        expand=True,
    )


def _text(change: StateChange | Progress | Preview) -> str:
    match change:
        case StateChange(state=state, error=None):
            return state.value
        case StateChange(state=state, error=error) if error:
            return f"{state.value}: {error.message}"
        case Progress(steps=0) as progress:
            return f"{progress.stage}, step {progress.step}"
        case Progress() as progress:
            return (
                f"{progress.stage}, step {progress.step} of {progress.steps}{_left_after(progress)}"
            )
        case _:
            return ""


def _label(state: TaskState) -> str:
    return "waiting" if state is TaskState.PENDING else state.value


def _left_after(progress: Progress) -> str:
    left = _left(progress)
    return f", {left}" if left else ""


def _left(progress: Progress) -> str:
    if progress.remaining_seconds is None:
        return ""
    return f"{progress.remaining_seconds:.0f} s left"
