"""Where each node of a file stands, and what the names there are bound to."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

MARKS = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
Value = ast.expr | str | None
"""What a name is bound to: an expression, the dotted name that it imports, or unknown."""


@dataclass(eq=False, slots=True)
class Scope:
    """The names that a module, class, function or comprehension binds."""

    parent: "Scope | None" = None
    is_class: bool = False
    bound: dict[str, list[Value]] = field(default_factory=dict)
    stores: Counter[str] = field(default_factory=Counter)
    outer: set[str] = field(default_factory=set)

    @property
    def may_be_unbound(self) -> bool:
        """Whether a name that is bound here may still be found further out."""
        return self.is_class or self.parent is None

    def bind(self, name: str, value: Value = None) -> None:
        self.bound.setdefault(name, []).append(value)

    def only_value(self, name: str) -> ast.expr | None:
        """Returns the one expression that a name is ever bound to here, if there is just one."""
        values = self.bound.get(name, [])
        is_single = len(values) == 1 and self.stores[name] == 1
        return values[0] if is_single and isinstance(values[0], ast.expr) else None


@dataclass(frozen=True, slots=True)
class Place:
    """A node, what it is part of, and whether only `python FILE` would run it."""

    node: ast.AST
    parent: ast.AST
    scope: Scope
    is_main: bool


def places(tree: ast.Module) -> list[Place]:
    """Returns every node of a file; their scopes are complete."""
    module = Scope()
    found: list[Place] = []
    waiting = [Place(node, tree, module, _is_main_block(node)) for node in reversed(tree.body)]
    while waiting:
        place = waiting.pop()
        found.append(place)
        _bind(place.node, place.scope)
        parts = [each for each in _parts(place.node, place.scope) if not isinstance(each[0], MARKS)]
        for node, scope in reversed(parts):
            is_main = place.is_main and not _is_alternative(node, place)
            waiting.append(Place(node, place.node, scope, is_main))
    return found


def _is_main_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "__name__ == '__main__'",
        "'__main__' == __name__",
    )


def _is_alternative(node: ast.AST, place: Place) -> bool:
    block = place.node
    return isinstance(block, ast.If) and node in block.orelse and _is_main_block(block)


def _parts(node: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            yield from _function_parts(node, scope)
        case ast.ClassDef():
            yield from _class_parts(node, scope)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            yield from _comprehension_parts(node, scope)
        case _:
            yield from ((child, scope) for child in ast.iter_child_nodes(node))


def _function_parts(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope
) -> Iterator[tuple[ast.AST, Scope]]:
    inner = Scope(scope)
    body = set(map(id, node.body if isinstance(node.body, list) else [node.body]))
    for argument in _arguments(node.args):
        inner.bind(argument.arg)
    for child in ast.iter_child_nodes(node):
        yield child, (inner if id(child) in body else scope)


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return named + [each for each in (arguments.vararg, arguments.kwarg) if each]


def _class_parts(node: ast.ClassDef, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
    inner = Scope(scope, is_class=True)
    body = set(map(id, node.body))
    for child in ast.iter_child_nodes(node):
        yield child, (inner if id(child) in body else scope)


def _comprehension_parts(
    node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, scope: Scope
) -> Iterator[tuple[ast.AST, Scope]]:
    inner = Scope(scope)
    for child in ast.iter_child_nodes(node):
        yield child, inner


def _bind(node: ast.AST, scope: Scope) -> None:
    match node:
        case ast.Import():
            for alias in node.names:
                top = alias.name.partition(".")[0]
                scope.bind(alias.asname or top, alias.name if alias.asname else top)
        case ast.ImportFrom():
            for alias in node.names:
                scope.bind(alias.asname or alias.name, f"{node.module}.{alias.name}")
        case ast.Assign():
            for target in node.targets:
                _bind_target(target, node.value, scope)
        case ast.AnnAssign() | ast.NamedExpr() if node.value:
            _bind_target(node.target, node.value, scope)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            scope.bind(node.name)
        case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name:
            scope.bind(node.name)
        case ast.MatchMapping() if node.rest:
            scope.bind(node.rest)
        case ast.Global() | ast.Nonlocal():
            scope.outer.update(node.names)
        case ast.Name(ctx=ast.Store() | ast.Del()):
            scope.bound.setdefault(node.id, [])
            scope.stores[node.id] += 1


def _bind_target(target: ast.expr, value: ast.expr, scope: Scope) -> None:
    match target, value:
        case ast.Name(), _:
            scope.bind(target.id, value)
        case ast.Tuple() | ast.List(), ast.Tuple() | ast.List() if len(target.elts) == len(
            value.elts
        ):
            for one, its_value in zip(target.elts, value.elts, strict=True):
                _bind_target(one, its_value, scope)
