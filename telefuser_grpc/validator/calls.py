"""Rules on calls that their arguments make dangerous, and on such as are worth a look."""

import ast
from collections.abc import Iterator

from telefuser_grpc.validator.finding import found
from telefuser_grpc.validator.names import Names, text_of
from telefuser_grpc.validator.report import Finding, Severity
from telefuser_grpc.validator.scopes import Place
from telefuser_grpc.validator.tables import danger_in, is_quiet, suspicion

PICKLED = ("torch.load", "torch.serialization.load")
BY_NAME = ("builtins.getattr", "builtins.setattr", "builtins.delattr")
REMOTE_CODE = ("trust_remote_code", "custom_pipeline")


def check_call(place: Place, names: Names) -> Iterator[Finding]:
    """Finds calls that compile, load or import what nobody has looked at."""
    match place.node:
        case ast.Call() as call:
            for name in names.of(call.func, place.scope):
                yield from _check_function(place, call, name)
            for keyword in call.keywords:
                yield from _check_option(call, keyword.arg, keyword.value)
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                text = text_of(key, place.scope) if key else None
                yield from _check_option(place.node, text, value)


def _check_function(place: Place, call: ast.Call, name: str) -> Iterator[Finding]:
    if name == "builtins.compile" and _mode(place, call) == "exec":
        text = "Compiles code to execute it"
        yield found(call, "CODE_COMPILATION", text, Severity.CRITICAL)
    elif name in PICKLED and not _is_true(_keyword(call, "weights_only")):
        text = f"{name} without weights_only=True runs code that is hidden in the file"
        yield found(call, "DANGEROUS_METHOD_CALL", text, Severity.HIGH)
    elif name == "numpy.load" and not _is_off(_keyword(call, "allow_pickle")):
        text = "numpy.load with allow_pickle runs code that is hidden in the file"
        yield found(call, "DANGEROUS_METHOD_CALL", text, Severity.HIGH)
    elif name == "importlib" or (name.startswith("importlib.") and suspicion(name)):
        text = f"Call of {name}, which loads code past this check"
        yield found(call, "DYNAMIC_IMPORT", text, Severity.HIGH)
    else:
        yield from _check_habit(place, call, name)


def _check_habit(place: Place, call: ast.Call, name: str) -> Iterator[Finding]:
    if name.startswith("os.") and not (place.is_main or is_quiet(name) or danger_in(name)):
        yield found(call, "OS_CALL", f"Call of {name}", Severity.LOW)
    elif name in ("builtins.globals", "builtins.locals", "builtins.vars"):
        text = f"Call of {name.removeprefix('builtins.')}; what is done with it cannot be seen"
        yield found(call, "DYNAMIC_EXPRESSION", text, Severity.LOW)
    elif name in BY_NAME and len(call.args) > 1 and text_of(call.args[1], place.scope) is None:
        text = f"{name.removeprefix('builtins.')} with a name that is computed"
        yield found(call, "DYNAMIC_EXPRESSION", text, Severity.LOW)


def _check_option(node: ast.AST, name: str | None, value: ast.expr) -> Iterator[Finding]:
    if name in REMOTE_CODE and not _is_off(value):
        text = f"{name} runs code that comes with the model"
        yield found(node, "DANGEROUS_METHOD_CALL", text, Severity.HIGH)


def _mode(place: Place, call: ast.Call) -> str | None:
    mode = call.args[2] if len(call.args) > 2 else _keyword(call, "mode")
    return text_of(mode, place.scope) if mode else None


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def _is_off(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and not value.value)
