"""Checks one pipeline file."""

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from telefuser_grpc.validator.bandit_rules import check_with_bandit
from telefuser_grpc.validator.calls import check_call
from telefuser_grpc.validator.files import check_file_use
from telefuser_grpc.validator.finding import whole_file, with_lines
from telefuser_grpc.validator.imports import check_import
from telefuser_grpc.validator.level import Level
from telefuser_grpc.validator.names import Names
from telefuser_grpc.validator.patterns import check_patterns
from telefuser_grpc.validator.references import check_reference
from telefuser_grpc.validator.report import Finding, Report, Severity
from telefuser_grpc.validator.sandbox import Limits, load_check
from telefuser_grpc.validator.scopes import Place, places
from telefuser_grpc.validator.shapes import check_class, check_decorators, check_text
from telefuser_grpc.validator.source import Source, UnreadableSource, read_source

MAX_BYTES = 10_485_760
DEFAULT_LIMITS = Limits()


def validate_file(
    path: Path,
    *,
    level: Level,
    max_bytes: int = MAX_BYTES,
    blocked_patterns: Sequence[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    folder: Path | None = None,
) -> Report:
    """Checks a file as far as the level asks; whatever the file holds, it answers.

    Args:
        blocked_patterns: Regular expressions that no line may match.
        limits: What the load check may use.
        folder: Where the modules lie that are checked along with it, and may be imported.
    """
    if level is Level.NONE:
        return Report(str(path))
    try:
        source = read_source(path, max_bytes=max_bytes)
    except UnreadableSource as error:
        return Report.of(path, [whole_file("FILE_ERROR", str(error))])
    is_strict = level.includes(Level.STRICT)
    findings = [*_read(source, blocked_patterns, is_strict=is_strict, folder=folder)]
    report = Report.of(path, with_lines(findings, source.lines()))
    if level.includes(Level.SANDBOX) and report.is_safe:
        return _load(source, report, limits)
    return report


def _read(
    source: Source, blocked_patterns: Sequence[str], *, is_strict: bool, folder: Path | None
) -> Iterator[Finding]:
    yield from _check_blocked(source, blocked_patterns)
    try:
        with warnings.catch_warnings(action="ignore"):
            findings = _check_code(source, is_strict=is_strict, folder=folder)
    except SyntaxError as error:
        text = f"Syntax error: {error.msg}"
        yield Finding(error.lineno or 0, error.offset or 0, "SYNTAX_ERROR", text, "", Severity.HIGH)
    except (ValueError, RecursionError, MemoryError) as error:
        yield whole_file("SYNTAX_ERROR", f"The code cannot be read: {error}")
    else:
        yield from findings


def _check_code(source: Source, *, is_strict: bool, folder: Path | None) -> list[Finding]:
    tree = ast.parse(source.text)
    names = Names()
    findings: list[Finding] = []
    for place in places(tree):
        findings += _check_place(place, names, is_strict=is_strict, folder=folder)
    findings += check_patterns(source.text, imported=_imported(tree))
    lines = {each.line_number for each in findings if each.severity is not Severity.LOW}
    findings += (each for each in check_with_bandit(source) if each.line_number not in lines)
    return findings


def _check_place(
    place: Place, names: Names, *, is_strict: bool, folder: Path | None
) -> Iterator[Finding]:
    match place.node:
        case ast.Import() | ast.ImportFrom():
            yield from check_import(place, is_strict=is_strict, folder=folder)
        case ast.Name() | ast.Attribute():
            yield from check_reference(place, names)
        case ast.Call():
            yield from check_reference(place, names)
            yield from check_call(place, names)
            yield from check_file_use(place, names)
            yield from check_text(place)
        case ast.Dict():
            yield from check_call(place, names)
        case ast.Constant(value=str()) | ast.BinOp() | ast.JoinedStr() | ast.Subscript():
            yield from check_text(place)
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from check_class(place, names)
            yield from check_decorators(place)


def _imported(tree: ast.Module) -> set[str]:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    aliases = [alias for node in imports for alias in node.names]
    return {alias.asname or alias.name.partition(".")[0] for alias in aliases}


def _check_blocked(source: Source, patterns: Sequence[str]) -> Iterator[Finding]:
    for number, line in enumerate(source.lines(), 1):
        for pattern in patterns:
            if match := re.search(pattern, line):
                text = f"Blocked pattern: {pattern}"
                yield Finding(
                    *(number, match.start() + 1, "CUSTOM_BLOCKED_PATTERN"),
                    *(text, "", Severity.HIGH),
                )


def _load(source: Source, report: Report, limits: Limits) -> Report:
    outcome = load_check(source, limits=limits)
    findings = [*report.warnings]
    if outcome.error is not None:
        text = f"Code failed restricted-load validation: {outcome.error}"
        findings.append(whole_file("SANDBOX_LOAD_FAILED", text))
    return Report.of(report.file, findings, isolation=outcome.isolation)
