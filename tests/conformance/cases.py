"""The cases of each language, by the names that its driver knows."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tests.conformance.sdks import Sdk

HERE = Path(__file__).parent
STYLES = ("sync", "async")
PYTHON_MODULES = (
    "models",
    "images",
    "image_streams",
    "videos",
    "video_sources",
    "errors",
    "video_errors",
    "retries",
    "keys",
)
PATIENCE = "patience"
NODE_CASE = re.compile(r"^export async function (\w+)", re.MULTILINE)
NODE_HELPERS = ("run.mjs", "checks.mjs")


def cases_of(sdk: Sdk, *, patience: bool = False) -> list[str]:
    """Names what is run with an SDK, those that take long only with patience."""
    cases = _python_cases(sdk) if sdk.language == "python" else _node_cases()
    return [case for case in cases if patience or f"{PATIENCE}." not in case]


def _python_cases(sdk: Sdk) -> Iterator[str]:
    for name in (*PYTHON_MODULES, PATIENCE):
        module = importlib.import_module(f"tests.conformance.python.{name}")
        for case in _functions_for(sdk, module):
            yield from (f"{style}:{name}.{case}" for style in STYLES)


def _functions_for(sdk: Sdk, module: ModuleType) -> Iterator[str]:
    since = getattr(module, "SINCE", ())
    for name, value in vars(module).items():
        is_own = getattr(value, "__module__", "") == module.__name__ and callable(value)
        if is_own and not name.startswith("_") and sdk.release >= getattr(value, "since", since):
            yield name


def _node_cases() -> Iterator[str]:
    for path in sorted((HERE / "node").glob("*.mjs")):
        if path.name not in NODE_HELPERS:
            yield from (f"{path.stem}.{name}" for name in NODE_CASE.findall(path.read_text()))
