"""What a declared contract may be made of: says which key holds what makes no sense."""

import re
from collections.abc import Collection, Mapping
from typing import Any


class ContractError(ValueError):
    """A pipeline file declares a contract that makes no sense; the message names the key."""


Kind = tuple[type | tuple[type, ...], str]

_TEXT: Kind = (str, "text")
_NAMES: Kind = (Collection, "a name or a list of names")
_LIST: Kind = ((list, tuple), "a list")
_OBJECT: Kind = (Mapping, "an object")
_NUMBER: Kind = ((int, float), "a number")
_COUNT: Kind = (int, "an integer")

PIPELINE: Mapping[str, Kind] = {
    "pipeline_name": _TEXT,
    "supported_tasks": _NAMES,
    "supported_media_types": _NAMES,
    "execution_mode": _TEXT,
    "entrypoints": _OBJECT,
    "task_contracts": _OBJECT,
}
TASK: Mapping[str, Kind] = {
    "media_type": _TEXT,
    "required_inputs": _NAMES,
    "optional_inputs": _NAMES,
    "parameters": _OBJECT,
    "batch": _OBJECT,
    "input_limits": _OBJECT,
    "max_pixels": _COUNT,
}
PARAMETER: Mapping[str, Kind] = {
    "type": _TEXT,
    "description": _TEXT,
    "enum": _LIST,
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "min_length": _COUNT,
    "max_length": _COUNT,
    "pattern": _TEXT,
    "unit": _TEXT,
}


def check_pipeline(declared: Mapping[str, Any]) -> None:
    """Checks the keys of a contract itself. Raises ContractError."""
    _check("", declared, PIPELINE)
    for name, function in (declared.get("entrypoints") or {}).items():
        _check_one(f"entrypoints.{name}", function, _TEXT)


def check_task(kind: str, declared: Any) -> None:
    """Checks one entry of `task_contracts` with its parameters. Raises ContractError."""
    path = f"task_contracts.{kind}"
    _check_one(path, declared, _OBJECT)
    _check(f"{path}.", declared, TASK)
    for name, each in (declared.get("parameters") or {}).items():
        _check_parameter(f"{path}.parameters.{name}", each)


def _check_parameter(path: str, declared: Any) -> None:
    _check_one(path, declared, _OBJECT)
    _check(f"{path}.", declared, PARAMETER)
    try:
        re.compile(declared.get("pattern") or "")
    except re.error as error:
        raise ContractError(f"{path}.pattern: no regular expression: {error}") from error


def _check(path: str, declared: Mapping[str, Any], kinds: Mapping[str, Kind]) -> None:
    for key, kind in kinds.items():
        if declared.get(key) is not None:
            _check_one(f"{path}{key}", declared[key], kind)


def _check_one(path: str, value: Any, kind: Kind) -> None:
    type_, word = kind
    if not isinstance(value, type_):
        raise ContractError(f"{path}: must be {word}, not {value!r}")
