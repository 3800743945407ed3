"""Patterns of tokens: a second look that knows no scopes, and never reads texts or comments."""

import io
import tokenize
from collections.abc import Container, Iterator, Sequence
from itertools import pairwise

from telefuser_grpc.validator.report import Finding, Severity

PATTERNS = {
    ("os", ".", "system"): "os.system pattern",
    ("import", "subprocess"): "subprocess import",
    ("__import__", "("): "dynamic import",
    ("eval", "("): "eval call",
    ("exec", "("): "exec call",
}
MODULES = {
    "ctypes": "ctypes usage",
    "socket": "socket usage",
    "urllib": "urllib usage",
    "requests": "requests usage (external HTTP)",
}
COMPILE = ("compile", "(")
MODES = ("'exec'", '"exec"')
NOT_CODE = (tokenize.COMMENT, tokenize.NL)
TEXT = "''"
FAR = 200  # tokens of the arguments before the mode
OPENING, CLOSING = ("(", "[", "{"), (")", "]", "}")
NOT_A_USE = (".", "def", "class")


def check_patterns(text: str, *, imported: Container[str]) -> Iterator[Finding]:
    """Finds the documented patterns in the code of a file; a module only where it is imported."""
    tokens = list(_tokens(text))
    words = [_word(token) for token in tokens]
    for index, token in enumerate(tokens):
        before = words[index - 1] if index else ""
        if token.type != tokenize.NAME or before in NOT_A_USE:
            continue
        label = _label(words, index, imported)
        if label:
            yield Finding(
                *(token.start[0], token.start[1] + 1, "CONTENT_PATTERN_MATCH"),
                *(f"Dangerous pattern detected: {label}", "", Severity.CRITICAL),
            )


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    readline = io.StringIO(text).readline
    try:
        yield from (
            each for each in tokenize.generate_tokens(readline) if each.type not in NOT_CODE
        )
    except (tokenize.TokenError, SyntaxError):
        return  # the parser tells of it


def _word(token: tokenize.TokenInfo) -> str:
    """Returns what a pattern may look at: of a text nothing but whether it is a mode of compile."""
    is_other_text = token.type == tokenize.STRING and token.string not in MODES
    return TEXT if is_other_text else token.string


def _label(words: Sequence[str], index: int, imported: Container[str]) -> str | None:
    for pattern, label in PATTERNS.items():
        if tuple(words[index : index + len(pattern)]) == pattern:
            return label
    start = index + len(COMPILE)
    if tuple(words[index:start]) == COMPILE and _is_to_execute(words[start : start + FAR]):
        return "exec compile"
    module = MODULES.get(words[index])
    is_use = words[index + 1 : index + 2] == ["."] and words[index] in imported
    is_parser = words[index : index + 3] == ["urllib", ".", "parse"]
    return module if is_use and not is_parser else None


def _is_to_execute(arguments: Sequence[str]) -> bool:
    """Tells whether the third argument of a call that goes on like this is the text `exec`."""
    depth = commas = 0
    for before, word in pairwise(("", *arguments)):
        depth += (word in OPENING) - (word in CLOSING)
        commas += word == "," and depth == 0
        if depth < 0 or commas > 2:
            return False
        if commas == 2 and depth == 0 and before == "," and word in MODES:
            return True
    return False
