"""Makes settings of what flags, an environment and `.env` files say, and tells where from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from telefuser_grpc.config.advice import complaints, notes
from telefuser_grpc.config.names import variable
from telefuser_grpc.config.picking import pick
from telefuser_grpc.config.settings import Settings
from telefuser_grpc.config.sources import ConfigError, read_layers

DEFAULT = "default"
PLAINER = {
    "bool_parsing": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "path_not_file": "must name a file that exists",
}
DEMANDS = {"Value error, ": "", "Input should be": "must be", "Input should": "must"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings, and what there is to say about them.

    Attributes:
        origins: For each setting the flag or variable that has set it, or `default`.
        warnings: What was given and does not count, one sentence each.
    """

    settings: Settings
    origins: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def load_settings(**explicit: Any) -> Settings:
    """Reads the settings; None among the explicit ones means not given.

    Raises:
        ConfigError
    """
    return load(explicit).settings


def load(
    explicit: Mapping[str, Any] | None = None,
    *,
    defaults: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Loaded:
    """Reads the settings: the explicit ones, the environment, a named file, `.env` of a folder.

    Args:
        defaults: What holds where none of them says otherwise, in place of the usual.

    Raises:
        ConfigError: A value makes no sense, or a file cannot be read.
    """
    flags = {name: value for name, value in (explicit or {}).items() if value is not None}
    layers = read_layers(environment, folder or Path())
    given = pick(layers)
    values = {**(defaults or {}), **{field: each.value for field, each in given.items()}, **flags}
    sources = {field: str(each) for field, each in given.items()}
    sources |= {field: _flag(field) for field in flags}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(each, sources) for each in error.errors())) from None
    return Loaded(
        settings=settings,
        origins={field: sources.get(field, DEFAULT) for field in Settings.model_fields},
        warnings=(*complaints(layers), *notes(settings, sources)),
    )


def _flag(field: str) -> str:
    return "--" + field.replace("_", "-")


def _explain(error: ErrorDetails, sources: Mapping[str, str]) -> str:
    message = PLAINER.get(error["type"], error["msg"])
    for official, ours in DEMANDS.items():
        message = message.replace(official, ours)
    if not error["loc"]:
        return message
    field = str(error["loc"][0])
    return f"{sources.get(field, variable(field))}: {message}"
