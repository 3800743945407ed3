"""`telefuser validate`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from telefuser_grpc.cli.options import SecurityLevel
from telefuser_grpc.validator import Level
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.py"
    path.write_text("import subprocess\n")
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.py"
    path.write_text("import torch\n")
    return path


@pytest.fixture
def unlisted(tmp_path: Path) -> Path:
    path = tmp_path / "unlisted.py"
    path.write_text("import some_helper\n")
    return path


def test_a_safe_file_ends_with_0_and_the_text_report(run: Run, good: Path) -> None:
    outcome = run("validate", str(good))

    lines = outcome.stdout.splitlines()
    assert outcome.code == 0
    assert lines[:3] == [f"Security Validation Report for: {good}", "=" * 60, "Status: SAFE"]
    assert outcome.stderr == ""


def test_an_unsafe_file_ends_with_1_and_says_why(run: Run, bad: Path) -> None:
    outcome = run("validate", str(bad))

    assert outcome.code == 1
    assert "Status: UNSAFE" in outcome.stdout
    assert "[CRITICAL] Line 1: CONTENT_PATTERN_MATCH" in outcome.stdout


def test_a_missing_file_ends_with_2(run: Run, tmp_path: Path) -> None:
    outcome = run("validate", str(tmp_path / "none.py"))

    assert outcome.code == 2
    assert outcome.stdout == ""
    assert "does not exist" in outcome.stderr


@pytest.mark.parametrize("arguments", [[], ["--level", "paranoid"], ["--no-such-option"]])
def test_misuse_ends_with_2(arguments: list[str], run: Run, good: Path) -> None:
    files = [str(good)] if arguments else []

    assert run("validate", *files, *arguments).code == 2


def test_a_folder_is_no_file(run: Run, tmp_path: Path) -> None:
    assert run("validate", str(tmp_path)).code == 2


@pytest.mark.parametrize(
    ("level", "code"), [("none", 0), ("basic", 0), ("BASIC", 0), ("Strict", 1), ("sandbox", 1)]
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_level_is_used_in_any_case_and_form(
    form: list[str], level: str, code: int, run: Run, unlisted: Path
) -> None:
    assert run("validate", str(unlisted), "--level", level, *form).code == code


def test_the_level_is_strict_unless_told(run: Run, unlisted: Path) -> None:
    assert run("validate", str(unlisted)).code == 1


def test_the_size_limit_is_that_of_the_settings(
    run: Run, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good.write_text("#" * 2000)
    monkeypatch.setenv("TELEFUSER_MAX_PPL_SIZE", "1999")

    outcome = run("validate", str(good))

    assert outcome.code == 1
    assert "File too large: 2000 bytes (max: 1999)" in outcome.stdout
    monkeypatch.setenv("TELEFUSER_MAX_PPL_SIZE", "2000")
    assert run("validate", str(good)).code == 0


def test_a_size_limit_that_makes_no_sense_ends_with_2(
    run: Run, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEFUSER_MAX_PPL_SIZE", "large")

    outcome = run("validate", str(good))

    assert (outcome.code, outcome.stdout) == (2, "")
    assert "TELEFUSER_MAX_PPL_SIZE: must be a whole number" in outcome.stderr


def test_stdout_is_json_and_nothing_else(bad: Path) -> None:
    command = [sys.executable, "-m", "telefuser_grpc.cli.main", "validate", str(bad), "--json"]

    done = subprocess.run(command, capture_output=True, text=True)

    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert done.stderr == ""
    assert list(report) == ["file", "is_safe", "violations", "warnings"]
    assert (report["file"], report["is_safe"]) == (str(bad), False)
    assert report["violations"][0] == {
        "line_number": 1,
        "column": 1,
        "violation_type": "CONTENT_PATTERN_MATCH",
        "description": "Dangerous pattern detected: subprocess import",
        "code_snippet": "import subprocess",
        "severity": "critical",
    }


def test_the_sandbox_tells_of_its_isolation(run: Run, good: Path) -> None:
    good.write_text("x = 1\n")

    outcome = run("validate", str(good), "--level", "sandbox")

    assert outcome.code == 0
    assert "Load check: no network" in outcome.stdout


def test_help_says_that_it_is_a_lint_and_no_isolation(run: Run) -> None:
    text = " ".join(run("validate", "--help").stdout.replace("│", " ").split())

    assert "It is a lint, not an isolation" in text
    assert "sandbox" in text


def test_levels_of_the_command_line_are_those_of_the_validator() -> None:
    assert list(SecurityLevel) == list(Level)


def test_help_loads_nothing_of_the_validator() -> None:
    code = "import sys, telefuser_grpc.cli.main; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"bandit", "telefuser_grpc.validator"} & set(loaded)
