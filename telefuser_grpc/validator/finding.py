"""Makes findings of nodes, and shows the line that each was found on."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace

from telefuser_grpc.validator.report import Finding, Severity

SNIPPET_CHARACTERS = 200


def found(node: ast.AST, violation_type: str, description: str, severity: Severity) -> Finding:
    """Returns a finding at a node; its line is shown later."""
    line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1
    return Finding(line, column, violation_type, description, "", severity)


def whole_file(violation_type: str, description: str) -> Finding:
    """Returns a finding that is about the file as a whole."""
    return Finding(0, 0, violation_type, description, "", Severity.HIGH)


def with_lines(findings: Iterable[Finding], lines: list[str]) -> Iterator[Finding]:
    """Returns the findings, each with the line of code that it is about."""
    for each in findings:
        is_shown = 0 < each.line_number <= len(lines)
        line = lines[each.line_number - 1].strip() if is_shown else ""
        yield replace(each, code_snippet=line[:SNIPPET_CHARACTERS])
