"""Rules on what a file does with files."""

import ast
from collections.abc import Iterator

from telefuser_grpc.validator.finding import found
from telefuser_grpc.validator.names import Names, text_of
from telefuser_grpc.validator.report import Finding, Severity
from telefuser_grpc.validator.scopes import Place, Scope
from telefuser_grpc.validator.tables import FILE_READS, FILE_WRITES, danger_in

PATHS = ("pathlib.Path", "pathlib.PosixPath")
DEPTH_LIMIT = 40


def check_file_use(place: Place, names: Names) -> Iterator[Finding]:
    """Finds files that are used at a fixed place outside, or changed at all."""
    if not isinstance(place.node, ast.Call):
        return
    call = place.node
    if isinstance(call.func, ast.Attribute):
        yield from _check_method(call, call.func, place.scope, names)
    for name in names.of(call.func, place.scope):
        if name.startswith("shutil.") and not danger_in(name):
            yield found(call, "FILE_OPERATION", f"Call of {name}", Severity.LOW)


def _check_method(
    call: ast.Call, method: ast.Attribute, scope: Scope, names: Names
) -> Iterator[Finding]:
    is_use = method.attr in FILE_READS | FILE_WRITES
    if is_use and _is_absolute(method.value, scope, names):
        text = f"{method.attr} at a fixed place of the machine"
        yield found(call, "FILE_OPERATION", text, Severity.HIGH)
    elif method.attr in FILE_WRITES:
        yield found(call, "FILE_OPERATION", f"Call of {method.attr}", Severity.LOW)


def _is_absolute(node: ast.expr, scope: Scope, names: Names, depth: int = 0) -> bool:
    if depth > DEPTH_LIMIT:
        return False
    match node:
        case ast.Call(func=function, args=arguments):
            meant = names.of(function, scope)
            if meant.intersection(PATHS) and arguments:
                return (text_of(arguments[0], scope) or "").startswith(("/", "~"))
            if "pathlib.Path.home" in meant:
                return True
            inner = function.value if isinstance(function, ast.Attribute) else None
        case ast.BinOp(op=ast.Div(), left=inner) | ast.Attribute(value=inner):
            pass
        case ast.Name():
            inner = scope.only_value(node.id)
        case _:
            inner = None
    return inner is not None and _is_absolute(inner, scope, names, depth + 1)
