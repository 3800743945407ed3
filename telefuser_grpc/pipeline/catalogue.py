"""Tells of pipeline files what they say of themselves: families, classes, tasks and parameters."""

import ast
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from telefuser_grpc.domain.contract import PipelineContract, TaskContract
from telefuser_grpc.domain.parameter import Parameter
from telefuser_grpc.pipeline.loader import PipelineLoadError, declared_contract, import_file

COLUMNS = (
    "file",
    "what",
    "class",
    "model",
    "tasks, inputs",
    "parameters beside the prompt (defaults)",
    "memory",
    "tested",
)
LONGEST_DEFAULT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A pipeline file.

    Attributes:
        summary: The first sentence of its docstring.
        class_names: What its `get_pipeline` returns, or what that holds.
        model: The hub id of its weights, "" where they lie beside it.
        memory: What its author says of memory.
        tested: What its author says of how it is tested.
    """

    name: str
    summary: str
    class_names: tuple[str, ...]
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
        class_names=_class_names(module),
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
        "<br>".join(f"`{name}`" for name in entry.class_names),
        f"`{entry.model}`" if entry.model else "in the repository",
        "<br>".join(map(_task, tasks)),
        ", ".join(_parameters(entry.contract)),
        entry.memory,
        entry.tested,
    )


def _task(task: TaskContract) -> str:
    optional = [f"({name})" for name in task.optional_inputs]
    together = [f"×{task.batching.max_size}"] if task.batching else []
    return " ".join([f"**{task.kind}**", *together, *task.required_inputs, *optional])


def _parameters(contract: PipelineContract) -> list[str]:
    """Returns each parameter once, with its defaults and the kinds of task that have it."""
    found: dict[str, dict[str, list[str]]] = {}
    for task in contract.tasks.values():
        for name, each in task.parameters.items():
            if each.exposed and name not in ("prompt", "output_path"):
                found.setdefault(name, {}).setdefault(_default(each), []).append(task.kind)
    return [name + _told(defaults, kinds=len(contract.tasks)) for name, defaults in found.items()]


def _told(defaults: Mapping[str, Sequence[str]], *, kinds: int) -> str:
    """Tells of a parameter's defaults, by the kinds that have each; the first is the usual."""
    usual, *others = defaults
    told = [usual, *(f"{' '.join(defaults[each])} {each}" for each in others)]
    having = [kind for each in defaults.values() for kind in each]
    if len(having) < kinds:
        told.append(f"{' '.join(having)} only")
    text = ", ".join(each for each in told if each)
    return f" ({text})" if text else ""


def _default(parameter: Parameter) -> str:
    text = "" if parameter.default is None else str(parameter.default)
    return text if len(text) <= LONGEST_DEFAULT else "…"


def _class_names(module: ModuleType) -> tuple[str, ...]:
    returned = inspect.signature(module.get_pipeline).return_annotation
    if is_dataclass(returned):
        return tuple(_name(each.type) for each in fields(returned))
    return (_name(returned),)


def _name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")
