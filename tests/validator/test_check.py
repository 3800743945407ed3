"""The verdict on a file: levels, limits, and files that are none."""

import ast
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telefuser_grpc.validator import Level, Report, validate_file
from tests.validator.conftest import Check, found, types

LISTED = "import torch\n"
UNLISTED = "import some_helper\n"
DANGEROUS = "import os\nos.system('ls')\n"
FAILS_TO_LOAD = "raise ValueError('no weights')\n"

FRAGMENTS = [
    *("import os", "eval", "(", ")", "'", '"""', "{", "\n", "    ", ":", "=", "def f", "class A"),
    *("__builtins__", ".", ",", "lambda", "async ", "await ", "@", "f'{", "\\", "x", "[", "]"),
    *("getattr", "Path('/')", "match x:", "case {**y}:", "global x", "*", "if ", "\x00", "\r"),
    *("# coding: latin-1\n", "\N{RIGHT-TO-LEFT OVERRIDE}", "1e999", "from . import *"),
]


def test_none_looks_at_nothing(check: Check) -> None:
    assert check(b"\xff not even text", Level.NONE).is_safe
    assert validate_file(Path("no such file"), level=Level.NONE).is_safe


def test_basic_refuses_what_none_lets_through(check: Check) -> None:
    assert check(DANGEROUS, Level.NONE).is_safe
    assert not check(DANGEROUS, Level.BASIC).is_safe


def test_strict_refuses_an_import_that_basic_lets_through(check: Check) -> None:
    assert check(UNLISTED, Level.BASIC).is_safe
    assert not check(UNLISTED, Level.STRICT).is_safe


def test_sandbox_refuses_a_failing_load_that_strict_lets_through(check: Check) -> None:
    report = check(FAILS_TO_LOAD, Level.SANDBOX)

    finding = found(report, "SANDBOX_LOAD_FAILED")
    assert check(FAILS_TO_LOAD, Level.STRICT).is_safe
    assert (finding.line_number, finding.severity) == (0, "high")
    assert finding.description == ("Code failed restricted-load validation: ValueError: no weights")


@pytest.mark.parametrize("level", [Level.STRICT, Level.SANDBOX])
@pytest.mark.parametrize("code", [DANGEROUS, UNLISTED])
def test_a_higher_level_refuses_all_that_a_lower_one_does(
    code: str, level: Level, check: Check
) -> None:
    assert not check(code, level).is_safe


def test_a_refused_file_is_not_loaded(check: Check) -> None:
    report = check(DANGEROUS + FAILS_TO_LOAD, Level.SANDBOX)

    assert "SANDBOX_LOAD_FAILED" not in types(report)
    assert report.isolation == ()


def test_levels_are_ordered() -> None:
    assert Level.SANDBOX.includes(Level.STRICT)
    assert Level.STRICT.includes(Level.STRICT)
    assert not Level.BASIC.includes(Level.STRICT)


def test_warnings_never_refuse_a_file(check: Check) -> None:
    report = check("import os\nos.listdir('x')\n")

    assert report.warnings
    assert report.is_safe


def test_a_file_over_the_limit_is_refused_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.py"
    path.write_text("#" * 11)

    report = validate_file(path, level=Level.BASIC, max_bytes=10)

    assert report.violations[0].description == "File too large: 11 bytes (max: 10)"
    assert validate_file(path, level=Level.BASIC, max_bytes=11).is_safe


def test_the_limit_is_ten_mebibytes_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.py"
    path.write_bytes(b"#" * 10_485_761)

    report = validate_file(path, level=Level.BASIC)

    assert report.violations[0].description == ("File too large: 10485761 bytes (max: 10485760)")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.py"

    report = validate_file(path, level=Level.BASIC)

    assert report.violations[0].description == f"File not found: {path}"


def test_a_file_that_is_not_utf_8_is_refused(check: Check) -> None:
    report = check(b"x = '\xff'", Level.BASIC)

    assert report.violations[0].description == "File contains non-UTF-8 characters"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-7", "no-such-encoding"])
def test_a_file_that_python_would_read_otherwise_is_refused(encoding: str, check: Check) -> None:
    report = check(f"# coding: {encoding}\nx = 1\n", Level.BASIC)

    assert "encoding" in report.violations[0].description


def test_utf_8_may_be_declared(check: Check) -> None:
    assert check("# -*- coding: utf-8 -*-\nx = 'ä'\n").is_safe


def test_the_worst_is_named_first(check: Check) -> None:
    report = check("import subprocess\nimport sys\n\nimport shutil\nshutil.rmtree('x')\n")

    severities = [each.severity for each in report.violations]
    assert severities == sorted(severities, key=["critical", "high"].index)
    assert report.violations[-1].severity == "high"


def test_a_finding_shows_its_line(check: Check) -> None:
    report = check("x = '''\x0c\u2028'''\r\n    \nif x:\n    eval('1')\n")

    finding = found(report, "DANGEROUS_BUILTIN_CALL")
    assert (finding.line_number, finding.column) == (4, 5)
    assert finding.code_snippet == "eval('1')"


def test_a_warning_of_python_itself_goes_unheard(check: Check) -> None:
    assert check("x = '\\d'\n").is_safe


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200))
def test_any_bytes_get_a_verdict(check: Check, data: bytes) -> None:
    report = check(data)

    assert isinstance(report, Report)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_any_code_gets_a_verdict(check: Check, code: str) -> None:
    report = check(code)

    assert report.is_safe <= _parses(code)


def test_the_pipelines_of_this_repository_are_clean_at_strict() -> None:
    paths = sorted(Path("pipelines").glob("*.py"))

    unsafe = [path for path in paths if not validate_file(path, level=Level.STRICT).is_safe]

    assert paths
    assert not unsafe


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return True
