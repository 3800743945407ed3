"""Lays out lines of Python as ruff format does, of up to a hundred characters."""

import json
import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 100
STEP = " " * 4


def bracketed(head: str, items: Sequence[str], tail: str, *, indent: int = 0) -> list[str]:
    """Returns a call, or what else has brackets, on as few lines as it fits on.

    Args:
        head: What stands before the items, with the opening bracket.
        tail: What stands behind them, with the closing one.
        indent: How many steps all lines are moved in.
    """
    margin, inner = STEP * indent, ", ".join(items)
    if len(line := f"{margin}{head}{inner}{tail}") <= WIDTH:
        return [line]
    if len(line := f"{margin}{STEP}{inner}") <= WIDTH:
        return [f"{margin}{head}", line, f"{margin}{tail}"]
    return spread(head, items, tail, indent=indent)


def spread(head: str, items: Iterable[str], tail: str, *, indent: int = 0) -> list[str]:
    """Returns the same with each item on a line of its own."""
    margin = STEP * indent
    lines = (f"{margin}{STEP}{line}" for each in items for line in f"{each},".split("\n"))
    return [f"{margin}{head}", *lines, f"{margin}{tail}"]


def assigned(name: str, literal: str) -> list[str]:
    """Returns a constant; brackets help one that would be too long otherwise."""
    is_long = len(name) + len(literal) + 3 > WIDTH >= len(STEP) + len(literal)
    return [f"{name} = (", STEP + literal, ")"] if is_long else [f"{name} = {literal}"]


def text(value: str) -> str:
    """Returns a text as a literal, in the quotes that need no escapes."""
    is_quoting = '"' in value and "'" not in value and value.isprintable() and "\\" not in value
    return f"'{value}'" if is_quoting else json.dumps(value, ensure_ascii=False)


def tuple_of(values: Iterable[str]) -> str:
    """Returns a tuple of texts."""
    items = [text(each) for each in values]
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def paragraph(words: str) -> list[str]:
    """Returns words as lines of a docstring."""
    return textwrap.wrap(words, WIDTH, break_long_words=False, break_on_hyphens=False)
