"""Options that several commands have, and what their values may be."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Kind(StrEnum):
    """The kinds of task that `--task` offers."""

    T2V = "t2v"
    I2V = "i2v"
    FL2V = "fl2v"
    VC = "vc"
    VSR = "vsr"
    S2V = "s2v"
    T2I = "t2i"
    I2I = "i2i"
    EDIT = "edit"


class LogFormat(StrEnum):
    """The forms of a log line."""

    CONSOLE = "console"
    JSON = "json"


class SecurityLevel(StrEnum):
    """How closely a pipeline file is read before it is loaded."""

    NONE = "none"
    BASIC = "basic"
    STRICT = "strict"
    SANDBOX = "sandbox"


class CacheMode(StrEnum):
    """What a latent cache would be used for."""

    READ_WRITE = "read_write"
    READ_ONLY = "read_only"
    WRITE_ONLY = "write_only"


ServerOption = Annotated[
    str,
    typer.Option(
        "--server",
        "-s",
        envvar="TELEFUSER_SERVER",
        metavar="HOST:PORT",
        help="The service to use; https://host:port for TLS. A key of yours: TELEFUSER_API_KEY.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object per line, nothing else.")
]
TaskIdArgument = Annotated[str, typer.Argument(metavar="TASK_ID", help="The task.")]

DEFAULT_SERVER = "127.0.0.1:8000"


def parse_parameters(texts: Sequence[str]) -> dict[str, Any]:
    """Reads `key=value` pairs; a value that is JSON is taken as such, any other as text."""
    return {name: _value(text) for name, text in _pairs(texts, "--set")}


def parse_inputs(texts: Sequence[str]) -> dict[str, Path | str]:
    """Reads `field=file` pairs; what is no local file is left to the service."""
    return {name: _source(text) for name, text in _pairs(texts, "--input")}


def _pairs(texts: Sequence[str], option: str) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    for name, separator, _ in pairs:
        if not (name and separator):
            raise typer.BadParameter(f"{name!r} is not of the form name=value", param_hint=option)
    return [(name, value) for name, _, value in pairs]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _source(text: str) -> Path | str:
    if text.startswith("data:"):
        return text
    path = Path(text)
    return path if path.is_file() else text
