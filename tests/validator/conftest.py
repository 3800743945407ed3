"""Checks a piece of code as if it were a pipeline file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from telefuser_grpc.validator import Finding, Level, Report, validate_file

Check = Callable[..., Report]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def validate(code: str | bytes, level: Level = Level.STRICT, **options: object) -> Report:
        path = tmp_path / "pipeline.py"
        path.write_bytes(code.encode() if isinstance(code, str) else code)
        return validate_file(path, level=level, **options)

    return validate


def found(report: Report, violation_type: str) -> Finding:
    """Returns the first finding of a type."""
    findings = [*report.violations, *report.warnings]
    return next(each for each in findings if each.violation_type == violation_type)


def types(report: Report) -> set[str]:
    """Returns the types of all findings."""
    return {each.violation_type for each in [*report.violations, *report.warnings]}
