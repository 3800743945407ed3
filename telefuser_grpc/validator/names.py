"""Says what an expression stands for: a dotted name, through aliases, or a text."""

import ast
import sys
from collections.abc import Iterator

from telefuser_grpc.validator.scopes import Scope
from telefuser_grpc.validator.tables import KNOWN_BUILTINS, REACHABLE, SHADOWABLE

TEXT_LIMIT = 10_000
DEPTH_LIMIT = 40


class Names:
    """Looks names up, and remembers what it has found."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], frozenset[str]] = {}

    def of(self, node: ast.AST, scope: Scope) -> frozenset[str]:
        """Returns the dotted names that an expression may stand for, such as `os.system`."""
        match node:
            case ast.Name():
                return self._look_up(node.id, scope)
            case ast.Attribute():
                return self._attributes(node.value, node.attr, scope)
            case ast.Call():
                return self._results(node, scope)
            case ast.NamedExpr():
                return self.of(node.value, scope)
            case ast.IfExp():
                return self.of(node.body, scope) | self.of(node.orelse, scope)
            case ast.BoolOp():
                return frozenset().union(*(self.of(each, scope) for each in node.values))
        return frozenset()

    def _attributes(self, owner: ast.expr, name: str, scope: Scope) -> frozenset[str]:
        return frozenset(shortest(f"{each}.{name}") for each in self.of(owner, scope))

    def _results(self, call: ast.Call, scope: Scope) -> frozenset[str]:
        functions = self.of(call.func, scope)
        if "builtins.getattr" in functions and len(call.args) >= 2:
            name = text_of(call.args[1], scope)
            return self._attributes(call.args[0], name, scope) if name else frozenset()
        if functions & {"builtins.__import__", "importlib.import_module"} and call.args:
            module = text_of(call.args[0], scope)
            return frozenset([module] if module else [])
        return frozenset()

    def _look_up(self, name: str, scope: Scope) -> frozenset[str]:
        key = (id(scope), name)
        if key not in self._known:
            self._known[key] = frozenset()  # a name that stands for itself stands for nothing
            self._known[key] = frozenset(self._candidates(name, scope))
        return self._known[key]

    def _candidates(self, name: str, scope: Scope) -> Iterator[str]:
        here: Scope | None = scope
        while here is not None:
            is_visible = here is scope or not here.is_class
            if is_visible and name in here.bound and name not in here.outer:
                yield from self._bound_to(name, here)
                if not here.may_be_unbound or name in SHADOWABLE:
                    return
            here = here.parent
        if name == "__builtins__":
            yield "builtins"
        elif name in KNOWN_BUILTINS:
            yield f"builtins.{name}"

    def _bound_to(self, name: str, scope: Scope) -> Iterator[str]:
        for value in scope.bound[name]:
            if isinstance(value, str):
                yield shortest(value)
            elif value is not None:
                yield from self.of(value, scope)


def text_of(node: ast.expr, scope: Scope, depth: int = 0) -> str | None:
    """Returns the text that an expression is sure to be, put together if it is in parts."""
    if depth > DEPTH_LIMIT:
        return None
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name():
            value = _constant(node.id, scope)
            return text_of(value, scope, depth + 1) if value else None
        case ast.Call(func=ast.Name(id="chr"), args=[ast.Constant(value=int(code))]):
            return chr(code) if 0 <= code <= sys.maxunicode else None
        case ast.Subscript() if ast.unparse(node.slice) == "::-1":
            reverse = text_of(node.value, scope, depth + 1)
            return reverse[::-1] if reverse else None
    glue, pieces = _pieces(node)
    texts = [text_of(each, scope, depth + 1) for each in pieces]
    joined = glue.join(each for each in texts if each is not None)
    return joined if texts and None not in texts and len(joined) <= TEXT_LIMIT else None


def _pieces(node: ast.expr) -> tuple[str, list[ast.expr]]:
    match node:
        case ast.BinOp(op=ast.Add()):
            return "", [node.left, node.right]
        case ast.JoinedStr():
            return "", node.values
        case ast.FormattedValue(conversion=-1, format_spec=None):
            return "", [node.value]
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(glue)), attr="join"),
            args=[ast.List() | ast.Tuple() as sequence],
        ):
            return glue, sequence.elts
    return "", []


def _constant(name: str, scope: Scope) -> ast.expr | None:
    here: Scope | None = scope
    while here is not None:
        if name in here.bound:
            return here.only_value(name)
        here = here.parent
    return None


def shortest(name: str) -> str:
    """Returns a dotted name from the module on that counts: `torch.os.system` is `os.system`."""
    parts = name.split(".")
    for index in range(len(parts) - 1, 0, -1):
        is_repeated = parts[index] == parts[index - 1]  # as `socket.socket`, which is a class
        if parts[index].lstrip("_") in REACHABLE and not is_repeated:
            return ".".join([parts[index].lstrip("_"), *parts[index + 1 :]])
    return name
