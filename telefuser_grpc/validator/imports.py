"""Rules on what a file imports."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from telefuser_grpc.validator.finding import found
from telefuser_grpc.validator.names import shortest
from telefuser_grpc.validator.report import Finding, Severity
from telefuser_grpc.validator.scopes import Place
from telefuser_grpc.validator.tables import MAIN_ONLY, WATCHED, danger_in, is_listed, suspicion


def check_import(place: Place, *, is_strict: bool, folder: Path | None) -> Iterator[Finding]:
    """Finds imports of what a pipeline has no use for, and, if strict, of what is not listed.

    What lies in `folder` is as good as listed: whoever names a folder checks all that is in it.
    """
    match place.node:
        case ast.Import(names=aliases):
            for alias in aliases:
                if not _is_in(folder, alias.name):
                    yield from _check(place, alias.name, alias.name, "IMPORT", is_strict=is_strict)
        case ast.ImportFrom(names=aliases):
            module = "." * place.node.level + (place.node.module or "")
            if _is_in(folder, module):
                return
            for alias in aliases:
                name = f"{module}.{alias.name}"
                yield from _check(place, module, name, "MODULE_IMPORT", is_strict=is_strict)
                yield from _check_attribute(place, module, alias.name)


def _is_in(folder: Path | None, module: str) -> bool:
    """Tells whether a module that nothing else provides lies in a folder."""
    top = module.partition(".")[0]
    if folder is None or not top or top in sys.stdlib_module_names or is_listed(top):
        return False
    return (folder / f"{top}.py").is_file() or (folder / top).is_dir()


def _check(
    place: Place, module: str, name: str, kind: str, *, is_strict: bool
) -> Iterator[Finding]:
    real = shortest(name)
    if why := suspicion(real):
        text = f"Import of {module}, which {why}"
        yield found(place.node, f"SUSPICIOUS_{kind}", text, Severity.HIGH)
    elif (top := real.partition(".")[0]) in MAIN_ONLY:
        text = f"Import of {top}, which {MAIN_ONLY[top]}"
        type_ = "MAIN_ONLY_IMPORT" if place.is_main else f"SUSPICIOUS_{kind}"
        yield found(place.node, type_, text, Severity.LOW)
    elif not is_listed(real):
        text = f"Import of {module}, which is not listed as a pipeline's need"
        severity = Severity.HIGH if is_strict else Severity.LOW
        yield found(place.node, f"UNKNOWN_{kind}", text, severity)


def _check_attribute(place: Place, module: str, name: str) -> Iterator[Finding]:
    real = shortest(f"{module}.{name}")
    if danger_in(real) or (name == "*" and shortest(module) in WATCHED):
        text = f"Import of {real}"
        yield found(place.node, "DANGEROUS_ATTRIBUTE_IMPORT", text, Severity.CRITICAL)
