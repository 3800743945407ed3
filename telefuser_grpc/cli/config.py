"""`telefuser config`: shows the settings that hold, and where each comes from."""

import json
import re
from typing import TYPE_CHECKING, Any

from telefuser_grpc.cli.options import JsonOption
from telefuser_grpc.cli.output import fail, print_columns, print_json, print_warning

if TYPE_CHECKING:  # pydantic weighs more than most commands need
    from telefuser_grpc.config import Loaded

CREDENTIALS = re.compile(r"(?:(?<=//)|^)[^/@\s]+@")


def config(as_json: JsonOption = False) -> None:
    """Show the settings that `serve` would have here, and where each comes from.

    They come from TELEFUSER_<NAME> in the environment, from the file that TELEFUSER_ENV_FILE names
    and from `.env`, in this order; an option of `serve` wins over all. Secrets are not shown.
    """
    from telefuser_grpc.config import ConfigError, load

    try:
        loaded = load()
    except ConfigError as error:
        fail(str(error))
    for warning in loaded.warnings:
        print_warning(warning)
    if as_json:
        print_json(_facts(loaded))
    else:
        print_columns([("SETTING", "VALUE", "FROM"), *_rows(loaded)])


def _facts(loaded: "Loaded") -> dict[str, dict[str, Any]]:
    from telefuser_grpc.config.names import variable

    return {
        name: {
            "value": value,
            "from": loaded.origins[name],
            "variable": variable(name),
            "description": type(loaded.settings).model_fields[name].description,
        }
        for name, value in _values(loaded).items()
    }


def _rows(loaded: "Loaded") -> list[tuple[str, str, str]]:
    return [(name, _text(value), loaded.origins[name]) for name, value in _values(loaded).items()]


def _values(loaded: "Loaded") -> dict[str, Any]:
    """Returns plain values; a secret is stars already."""
    values = loaded.settings.model_dump(mode="json")
    return {name: _masked(value) for name, value in values.items()}


def _masked(value: Any) -> Any:
    return CREDENTIALS.sub("***@", value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
