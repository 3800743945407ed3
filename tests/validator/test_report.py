"""The report as text and as JSON."""

import json

from telefuser_grpc.validator import Finding, Report, Severity, json_report, text_report

IMPORT = Finding(
    line_number=1,
    column=1,
    violation_type="CONTENT_PATTERN_MATCH",
    description="Dangerous pattern detected: subprocess import",
    code_snippet="import subprocess",
    severity=Severity.CRITICAL,
)
LONG = Finding(7, 3, "SUSPICIOUS_IMPORT", "Import of sys", "x" * 150, Severity.HIGH)
WARNINGS = [Finding(n, 1, "OS_CALL", f"Call {n}", "os.x()", Severity.LOW) for n in range(1, 8)]


def test_json_is_the_documented_object() -> None:
    text = json_report(Report.of("/p/bad.py", [IMPORT]))

    assert json.loads(text) == {
        "file": "/p/bad.py",
        "is_safe": False,
        "violations": [
            {
                "line_number": 1,
                "column": 1,
                "violation_type": "CONTENT_PATTERN_MATCH",
                "description": "Dangerous pattern detected: subprocess import",
                "code_snippet": "import subprocess",
                "severity": "critical",
            }
        ],
        "warnings": [],
    }
    assert text.startswith('{\n  "file"')


def test_json_can_be_read_back() -> None:
    report = Report.of("a.py", [LONG, IMPORT, *WARNINGS])

    assert Report.parse(json.loads(json_report(report))) == report


def test_text_is_the_documented_page() -> None:
    lines = text_report(Report.of("bad.py", [LONG, *WARNINGS, IMPORT])).splitlines()

    assert lines == [
        "Security Validation Report for: bad.py",
        "=" * 60,
        "Status: UNSAFE",
        "Violations: 2",
        "[CRITICAL] Line 1: CONTENT_PATTERN_MATCH",
        "  Dangerous pattern detected: subprocess import",
        "  Code: import subprocess",
        "[HIGH] Line 7: SUSPICIOUS_IMPORT",
        "  Import of sys",
        f"  Code: {'x' * 100}",
        "Warnings: 7",
        *(f"  Line {n}: Call {n}" for n in range(1, 6)),
        "This is a lint, not an isolation: a file without findings can still do harm.",
    ]


def test_text_of_a_clean_file_says_safe() -> None:
    lines = text_report(Report("good.py")).splitlines()

    assert lines[2:5] == ["Status: SAFE", "Violations: 0", "Warnings: 0"]


def test_text_says_what_the_load_check_was_kept_from() -> None:
    assert "Load check: no network; at most 1 s" in text_report(
        Report("good.py", isolation=("no network", "at most 1 s"))
    )


def test_the_same_finding_is_told_once() -> None:
    assert Report.of("bad.py", [IMPORT, IMPORT]).violations == (IMPORT,)
