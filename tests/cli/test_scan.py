"""`telefuser scan`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]
RULE = "=" * 60


def write(folder: Path, **files: str) -> None:
    for name, code in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)


def test_safe_files_are_listed_and_end_with_0(run: Run, tmp_path: Path) -> None:
    write(tmp_path, a="import torch\n", sub__b="x = 1\n")

    outcome = run("scan", str(tmp_path))

    assert outcome.code == 0
    assert outcome.stdout.splitlines() == [
        "Scanning 2 Python files...",
        RULE,
        "✓ SAFE: a.py",
        "✓ SAFE: sub/b.py",
        RULE,
        "Summary: 2/2 files are safe",
    ]


def test_unsafe_files_are_listed_with_three_findings_and_end_with_1(
    run: Run, tmp_path: Path
) -> None:
    write(tmp_path, bad="import sys\n" * 4, good="x = 1\n")

    outcome = run("scan", str(tmp_path))

    finding = "Import of sys, which reaches into the interpreter"
    assert outcome.code == 1
    assert outcome.stdout.splitlines() == [
        "Scanning 2 Python files...",
        RULE,
        "✗ UNSAFE: bad.py",
        "✓ SAFE: good.py",
        RULE,
        "Summary: 1/2 files are safe",
        "1 unsafe files found:",
        f"{tmp_path / 'bad.py'}",
        *(f"  Line {number}: {finding}" for number in (1, 2, 3)),
    ]
    assert outcome.stderr == ""


def test_the_worst_findings_are_shown(run: Run, tmp_path: Path) -> None:
    write(tmp_path, bad="import sys\n" * 4 + "exec('1')\n")

    assert "  Line 5: Use of exec" in run("scan", str(tmp_path)).stdout


def test_no_recursive_stays_in_the_folder(run: Run, tmp_path: Path) -> None:
    write(tmp_path, a="x = 1\n", sub__bad="import sys\n")

    shallow = run("scan", str(tmp_path), "--no-recursive")
    deep = run("scan", str(tmp_path), "--recursive")

    assert (shallow.code, deep.code) == (0, 1)
    assert "Scanning 1 Python files..." in shallow.stdout


def test_a_folder_without_python_is_no_fault(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()

    outcome = run("scan", str(tmp_path))

    assert outcome.code == 0
    assert outcome.stdout == f"No Python files found in {tmp_path}\n"


def test_a_file_that_cannot_be_read_is_unsafe_and_no_crash(run: Run, tmp_path: Path) -> None:
    (tmp_path / "big.py").write_bytes(b"#" * 10_485_761)
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe")

    outcome = run("scan", str(tmp_path))

    assert outcome.code == 1
    assert "✗ UNSAFE: big.py" in outcome.stdout
    assert "  Line 0: File too large: 10485761 bytes (max: 10485760)" in outcome.stdout
    assert "  Line 0: File contains non-UTF-8 characters" in outcome.stdout


def test_the_size_limit_is_that_of_the_settings(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, large="#" * 2000, small="x = 1\n")
    monkeypatch.setenv("TELEFUSER_MAX_PPL_SIZE", "1999")

    outcome = run("scan", str(tmp_path))

    assert outcome.code == 1
    assert "  Line 0: File too large: 2000 bytes (max: 1999)" in outcome.stdout
    assert "✓ SAFE: small.py" in outcome.stdout


def test_a_setting_that_makes_no_sense_ends_with_2(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, a="x = 1\n")
    monkeypatch.setenv("TELEFUSER_MAX_PPL_SIZE", "large")

    outcome = run("scan", str(tmp_path))

    assert (outcome.code, outcome.stdout) == (2, "")


@pytest.mark.parametrize(("level", "code"), [("BASIC", 0), ("strict", 1)])
def test_the_level_is_used(level: str, code: int, run: Run, tmp_path: Path) -> None:
    write(tmp_path, a="import some_helper\n")

    assert run("scan", str(tmp_path), "--level", level).code == code


def test_a_missing_folder_or_misuse_ends_with_2(run: Run, tmp_path: Path) -> None:
    assert run("scan", str(tmp_path / "none")).code == 2
    assert run("scan").code == 2
    assert run("scan", str(tmp_path), "--level", "paranoid").code == 2


def test_help_says_that_it_is_a_lint_and_no_isolation(run: Run) -> None:
    text = " ".join(run("scan", "--help").stdout.replace("│", " ").split())

    assert "It is a lint, not an isolation" in text


def test_files_of_the_folder_may_import_each_other(run: Run, tmp_path: Path) -> None:
    write(tmp_path, shared="x = 1\n", sub__a="from shared import x\nfrom sub import b\n", sub__b="")

    assert run("scan", str(tmp_path)).code == 0
    assert run("validate", str(tmp_path / "sub" / "a.py")).code == 1


def test_file_does_not_lend_its_name_to_what_is_dangerous(run: Run, tmp_path: Path) -> None:
    write(tmp_path, subprocess="x = 1\n", a="import subprocess\n")

    outcome = run("scan", str(tmp_path))

    assert "✗ UNSAFE: a.py" in outcome.stdout
