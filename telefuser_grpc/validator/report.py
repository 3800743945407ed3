"""What is found in a file, as a value, as text and as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

RULE = "=" * 60
SNIPPET_CHARACTERS = 100
WARNINGS_SHOWN = 5
DISCLAIMER = "This is a lint, not an isolation: a file without findings can still do harm."


class Severity(StrEnum):
    """How bad a finding is; whatever is worse than low refuses the file."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place of a file and what is wrong there; line 0 is the file as a whole."""

    line_number: int
    column: int
    violation_type: str
    description: str
    code_snippet: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one file.

    Attributes:
        violations: What refuses the file, the worst first.
        warnings: What is worth a look and never refuses it.
        isolation: What the load check was kept from, and by what; empty if there was none.
    """

    file: str
    violations: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    isolation: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, file: Path | str, findings: Iterable[Finding], isolation: Iterable[str] = ()
    ) -> "Report":
        """Makes a report of findings in any order, some of them perhaps twice."""
        unique = sorted(set(findings), key=_worst_first)
        return cls(
            file=str(file),
            violations=tuple(each for each in unique if each.severity is not Severity.LOW),
            warnings=tuple(each for each in unique if each.severity is Severity.LOW),
            isolation=tuple(isolation),
        )

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "Report":
        """Reads what `as_dict` has written."""
        findings = [*fields["violations"], *fields["warnings"]]
        return cls.of(
            fields["file"],
            [Finding(**{**each, "severity": Severity(each["severity"])}) for each in findings],
        )

    @property
    def is_safe(self) -> bool:
        return not self.violations

    def as_dict(self) -> dict[str, Any]:
        """Returns the documented JSON object."""
        return {
            "file": self.file,
            "is_safe": self.is_safe,
            "violations": [asdict(each) for each in self.violations],
            "warnings": [asdict(each) for each in self.warnings],
        }


def json_report(report: Report) -> str:
    """Returns the report as the documented JSON."""
    return json.dumps(report.as_dict(), indent=2, ensure_ascii=False)


def text_report(report: Report) -> str:
    """Returns the report for people."""
    return "\n".join(_lines(report))


def _worst_first(finding: Finding) -> tuple[int, int, int, str, str]:
    rank = -list(Severity).index(finding.severity)
    place = (finding.line_number, finding.column)
    return (rank, *place, finding.violation_type, finding.description)


def _lines(report: Report) -> Iterator[str]:
    yield f"Security Validation Report for: {report.file}"
    yield RULE
    yield f"Status: {'SAFE' if report.is_safe else 'UNSAFE'}"
    yield f"Violations: {len(report.violations)}"
    for each in report.violations:
        yield f"[{each.severity.upper()}] Line {each.line_number}: {each.violation_type}"
        yield f"  {each.description}"
        if each.code_snippet:
            yield f"  Code: {each.code_snippet[:SNIPPET_CHARACTERS]}"
    yield f"Warnings: {len(report.warnings)}"
    for each in report.warnings[:WARNINGS_SHOWN]:
        yield f"  Line {each.line_number}: {each.description}"
    if report.isolation:
        yield f"Load check: {'; '.join(report.isolation)}"
    yield DISCLAIMER
