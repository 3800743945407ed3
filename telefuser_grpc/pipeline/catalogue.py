"""Tells of pipeline files what they say of themselves: families, classes, tasks and parameters."""

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from telefuser_grpc.domain.contract import PipelineContract, TaskContract
from telefuser_grpc.domain.parameter import Parameter
from telefuser_grpc.pipeline.loader import PipelineLoadError, declared_contract, import_file

COLUMNS = (
    "file",
    "what",
    "class",
    "model",
    "tasks, inputs",
    "parameters (defaults)",
    "memory",
    "tested",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A pipeline file.

    Attributes:
        summary: The first sentence of its docstring.
        class_name: What its `get_pipeline` returns.
        model: The hub id of its weights, "" where they lie beside it.
        memory: What its author says of memory.
        tested: What its author says of how it is tested.
    """

    name: str
    summary: str
    class_name: str
    model: str
    memory: str
    tested: str
    contract: PipelineContract


def pipeline_files(folder: Path) -> list[Path]:
    """Returns the pipeline files of a folder, by name."""
    return sorted(path for path in folder.glob("*.py") if "def get_pipeline(" in path.read_text())


def summary_of(path: Path) -> str:
    """Returns the first sentence of a file's docstring, without running the file."""
    return _first_sentence(ast.get_docstring(ast.parse(path.read_text())) or "")


def read_entry(path: Path) -> Entry:
    """Imports a file, with the libraries that it needs, and reads what it declares.

    Raises:
        PipelineLoadError: It cannot be imported, or declares no contract.
    """
    module = import_file(path)
    contract = declared_contract(module, stem=path.stem)
    if contract is None:
        raise PipelineLoadError(f"{path.name} declares no contract")
    return Entry(
        name=path.name,
        summary=_first_sentence(module.__doc__ or ""),
        class_name=_class_name(module),
        model=getattr(module, "MODEL", ""),
        memory=getattr(module, "MEMORY", ""),
        tested=getattr(module, "TESTED", ""),
        contract=contract,
    )


def as_markdown(entries: Iterable[Entry]) -> str:
    """Returns a table of pipeline files."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(_row, entries)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(entry: Entry) -> tuple[str, ...]:
    tasks = entry.contract.tasks.values()
    return (
        f"`{entry.name}`",
        entry.summary,
        f"`{entry.class_name}`",
        f"`{entry.model}`" if entry.model else "in the repository",
        "<br>".join(map(_task, tasks)),
        ", ".join(dict.fromkeys(each for task in tasks for each in _parameters(task))),
        entry.memory,
        entry.tested,
    )


def _task(task: TaskContract) -> str:
    optional = [f"({name})" for name in task.optional_inputs]
    return " ".join([f"**{task.kind}**", *task.required_inputs, *optional])


def _parameters(task: TaskContract) -> Iterator[str]:
    for name, each in task.parameters.items():
        if each.exposed and name not in ("prompt", "output_path"):
            yield name + _default(each)


def _default(parameter: Parameter) -> str:
    return f" ({parameter.default})" if parameter.default not in (None, "") else ""


def _class_name(module: ModuleType) -> str:
    returned = inspect.signature(module.get_pipeline).return_annotation
    return returned.__name__ if isinstance(returned, type) else str(returned)


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")
