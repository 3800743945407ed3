"""Rules on dangerous functions, wherever they are named: called, or handed to who may call them."""

import ast
from collections.abc import Iterator

from telefuser_grpc.validator.finding import found
from telefuser_grpc.validator.names import Names
from telefuser_grpc.validator.report import Finding, Severity
from telefuser_grpc.validator.scopes import Place
from telefuser_grpc.validator.tables import (
    CODE_BUILTINS,
    DANGEROUS_ANYWHERE,
    INTROSPECTION,
    OPENERS,
    WATCHED,
    danger_in,
)


def check_reference(place: Place, names: Names) -> Iterator[Finding]:
    """Finds names that stand for dangerous functions, and ways to reach such unnamed."""
    node = place.node
    if not isinstance(node, ast.Name | ast.Attribute | ast.Call):
        return
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return
    meant = names.of(node, place.scope)
    for name in meant:
        yield from _check_name(place, name)
    if isinstance(node, ast.Attribute):
        yield from _check_attribute(node, is_known=bool(meant))


def _check_name(place: Place, name: str) -> Iterator[Finding]:
    node = place.node
    module, _, attribute = name.rpartition(".")
    if (module == "builtins" and attribute in CODE_BUILTINS) or name in OPENERS:
        text = f"Use of {name.removeprefix('builtins.')}"
        yield found(node, "DANGEROUS_BUILTIN_CALL", text, Severity.CRITICAL)
    elif danger := danger_in(name):
        yield found(node, "DANGEROUS_METHOD_CALL", f"Use of {danger}", Severity.CRITICAL)
    elif name in WATCHED and not isinstance(place.parent, ast.Attribute):
        text = f"The module {name} is handed on; what is done with it cannot be seen"
        yield found(node, "DYNAMIC_EXPRESSION", text, Severity.HIGH)
    elif attribute == "__dict__" and module in WATCHED:
        text = f"Use of {name}; what is done with it cannot be seen"
        yield found(node, "DYNAMIC_EXPRESSION", text, Severity.HIGH)


def _check_attribute(node: ast.Attribute, *, is_known: bool) -> Iterator[Finding]:
    if node.attr in DANGEROUS_ANYWHERE and not is_known:
        text = f"Use of {node.attr}"
        yield found(node, "DANGEROUS_METHOD_CALL", text, Severity.CRITICAL)
    if node.attr in INTROSPECTION:
        text = f"Use of {node.attr}, which reaches around this check"
        yield found(node, "DYNAMIC_EXPRESSION", text, Severity.HIGH)
