"""Rules on texts that hold code, and on classes and decorators that hide what they run."""

import ast
import re
from collections.abc import Iterator

from telefuser_grpc.validator.finding import found
from telefuser_grpc.validator.names import Names, text_of
from telefuser_grpc.validator.report import Finding, Severity
from telefuser_grpc.validator.scopes import Place
from telefuser_grpc.validator.tables import INTROSPECTION, SYSTEM_PATHS

CODE = re.compile(r"(?<![\w.])(__import__|eval|exec|os\.system|subprocess\.\w+)\s*\(")
PLAIN_METACLASSES = ("abc.ABCMeta", "enum.EnumMeta", "enum.EnumType")


def check_text(place: Place) -> Iterator[Finding]:
    """Finds texts that are code, or that name what is only reached to get around this check."""
    node, parent = place.node, place.parent
    is_documentation = isinstance(parent, ast.Expr)
    is_part = isinstance(parent, ast.BinOp | ast.JoinedStr | ast.FormattedValue)
    if not isinstance(node, ast.expr):
        return
    if is_documentation or (is_part and not isinstance(node, ast.Constant)):
        return
    text = text_of(node, place.scope) or ""
    if match := CODE.search(text):
        description = f"A text holds code: {match[0]}"
        yield found(node, "HIDDEN_CODE_IN_STRING", description, Severity.HIGH)
    if text in INTROSPECTION:
        description = f"The name {text} as a text reaches around this check"
        yield found(node, "DYNAMIC_EXPRESSION", description, Severity.HIGH)
    if text.startswith(SYSTEM_PATHS):
        yield found(node, "FILE_OPERATION", "A path of the system", Severity.HIGH)


def check_class(place: Place, names: Names) -> Iterator[Finding]:
    """Finds metaclasses: what they run when the file is loaded is written elsewhere."""
    if not isinstance(place.node, ast.ClassDef):
        return
    for keyword in place.node.keywords:
        meant = names.of(keyword.value, place.scope)
        if keyword.arg == "metaclass" and not meant.intersection(PLAIN_METACLASSES):
            text = f"The metaclass of {place.node.name} runs code when the file is loaded"
            yield found(keyword.value, "METACLASS", text, Severity.LOW)


def check_decorators(place: Place) -> Iterator[Finding]:
    """Finds decorators that are computed, not named."""
    if not isinstance(place.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    for decorator in place.node.decorator_list:
        function = decorator.func if isinstance(decorator, ast.Call) else decorator
        while isinstance(function, ast.Attribute):
            function = function.value
        if not isinstance(function, ast.Name):
            text = f"The decorator of {place.node.name} is computed; what it runs cannot be seen"
            yield found(decorator, "DECORATOR", text, Severity.LOW)
