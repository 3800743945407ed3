"""The check before a service starts."""

import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from telefuser_grpc.validator import (
    Finding,
    Level,
    Report,
    Severity,
    UnsafePipeline,
    check_before_serving,
    serving,
)

CLEAN = "import torch\n"
HIGH = "import sys\n"
CRITICAL = "eval('1')\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pipeline.py"


def test_a_clean_file_may_be_served(path: Path) -> None:
    path.write_text(CLEAN)

    check_before_serving(path, level=Level.STRICT)


def test_level_none_starts_no_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")

    check_before_serving(path, level=Level.NONE)


def test_a_refusal_names_the_finding_and_two_hints(path: Path) -> None:
    path.write_text(HIGH)

    with pytest.raises(UnsafePipeline) as refused:
        check_before_serving(path, level=Level.STRICT)

    assert str(refused.value).splitlines() == [
        "❌ Security validation failed:",
        "  [HIGH] Line 1: SUSPICIOUS_IMPORT: Import of sys, which reaches into the interpreter",
        f"Hint: telefuser validate {path} shows the whole report",
        "Hint: --skip-validation serves the file unchecked; do so only if you trust its author",
    ]


def test_a_refusal_shows_up_to_five_critical_and_five_high_lines(path: Path) -> None:
    path.write_text("eval('1')\n" * 7 + "import sys\n" * 7)

    with pytest.raises(UnsafePipeline) as refused:
        check_before_serving(path, level=Level.BASIC)

    lines = str(refused.value).splitlines()
    assert sum("[CRITICAL]" in line for line in lines) == 5
    assert sum("[HIGH]" in line for line in lines) == 5
    assert len(lines) == 13


def test_the_level_is_the_one_that_was_asked_for(path: Path) -> None:
    path.write_text("import some_helper\n")

    check_before_serving(path, level=Level.BASIC)
    with pytest.raises(UnsafePipeline):
        check_before_serving(path, level=Level.STRICT)


def test_the_size_limit_is_the_one_that_was_asked_for(path: Path) -> None:
    path.write_text(CLEAN)

    with pytest.raises(UnsafePipeline, match=r"File too large: 13 bytes \(max: 12\)"):
        check_before_serving(path, level=Level.BASIC, max_bytes=12)


def test_allow_unsafe_lets_a_high_violation_through_with_a_warning(path: Path) -> None:
    path.write_text(HIGH)

    with capture_logs() as logs:
        check_before_serving(path, level=Level.BASIC, allow_unsafe=True)

    assert [each["event"] for each in logs] == ["unsafe pipeline file let through"]
    assert logs[0]["log_level"] == "warning"


def test_allow_unsafe_never_lets_a_critical_violation_through(path: Path) -> None:
    path.write_text(CRITICAL)

    with pytest.raises(UnsafePipeline):
        check_before_serving(path, level=Level.BASIC, allow_unsafe=True)


def test_a_module_in_the_current_folder_does_not_stand_in_for_one_of_the_check(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text(CRITICAL)
    (path.parent / "bandit.py").write_text("raise SystemExit(0)")
    monkeypatch.chdir(path.parent)

    with pytest.raises(UnsafePipeline, match="Use of eval"):
        check_before_serving(path, level=Level.BASIC)


def test_a_fault_of_the_check_refuses_the_file_if_validation_is_strict(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(UnsafePipeline, match="The check itself failed: its process ended with"):
        check_before_serving(path, level=Level.BASIC)


@pytest.mark.parametrize("program", ["/bin/false", "/bin/true", "/no/such/python"])
def test_a_fault_of_the_check_only_warns_if_validation_is_not_strict(
    program: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program)

    with capture_logs() as logs:
        check_before_serving(path, level=Level.BASIC, strict_validation=False)

    assert [each["event"] for each in logs] == ["pipeline file served unchecked"]


def test_a_check_that_does_not_end_is_a_fault(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(CLEAN)
    monkeypatch.setattr(serving, "CHECK_SECONDS", 0.001)

    with pytest.raises(UnsafePipeline, match=r"it did not end within 0\.001 s"):
        check_before_serving(path, level=Level.BASIC)


def test_a_file_that_is_refused_for_one_medium_violation_is_told_why(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium = Finding(1, 1, "SOME_TYPE", "why", "", Severity.MEDIUM)
    monkeypatch.setattr(serving, "_validate_apart", lambda path, **_: Report.of(path, [medium]))

    with pytest.raises(UnsafePipeline, match=r"\[MEDIUM\] Line 1: SOME_TYPE: why"):
        check_before_serving(path, level=Level.BASIC)
