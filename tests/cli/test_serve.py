"""`telefuser serve`: which settings it passes on, and how it fails to start."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from telefuser_grpc.app import service
from telefuser_grpc.cli import serving
from telefuser_grpc.cli.options import Kind
from telefuser_grpc.config import Settings, served_file
from telefuser_grpc.validator import Level
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]

UNSAFE = "import os\n\nos.system('true')\n"


@pytest.fixture(autouse=True)
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets a command set up logging; afterwards it is as it was before."""
    monkeypatch.setattr(serving, "logger", structlog.get_logger())  # the first use decides it
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    yield

    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Settings]:
    """What a service was started with, in a folder with a pipeline file."""
    settings: list[Settings] = []

    def serve(given: Settings) -> int:
        settings.append(given)
        return 3

    monkeypatch.setattr(service, "serve", serve)
    (tmp_path / "p.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return settings


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was checked, and how, by a check that lets everything pass."""
    checks: list[dict[str, Any]] = []

    def check(path: Path, **how: Any) -> None:
        checks.append({"path": path, **how})

    monkeypatch.setattr(serving, "check_before_serving", check)
    return checks


@pytest.fixture
def served(started: list[Settings], checked: list[dict[str, Any]]) -> list[Settings]:
    """What a service was started with, whose file was not really checked."""
    return started


@pytest.mark.parametrize(
    "arguments", [("p.py",), ("-pp", "p.py"), ("--pipe_path", "p.py"), ("--pipe-path", "p.py")]
)
def test_pipeline_file_has_four_spellings(
    arguments: tuple[str, ...], run: Run, served: list[Settings]
) -> None:
    run("serve", *arguments, "-p", "9000")

    assert (served[0].pipe_path, served[0].port) == (Path("p.py"), 9000)


def test_documented_short_forms_stand_together(run: Run, served: list[Settings]) -> None:
    run("serve", "-pp", "./p.py", "-t", "i2v", "-p", "8080", "-g", "2")

    settings = served[0]
    assert (settings.pipe_path, settings.task) == (Path("p.py"), "i2v")
    assert (settings.port, settings.parallelism) == (8080, 2)


def test_documented_long_forms_stand_together(run: Run, served: list[Settings]) -> None:
    run(
        *("serve", "--pipe_path", "./p.py", "--task", "i2v", "--port", "8080"),
        *("--host", "0.0.0.0", "--parallelism", "2", "--cache-dir", "c", "--num-replicas", "2"),
    )

    settings = served[0]
    assert (settings.pipe_path, settings.task, settings.host) == (Path("p.py"), "i2v", "0.0.0.0")
    assert (settings.port, settings.parallelism, settings.num_replicas) == (8080, 2, 2)
    assert settings.cache_dir == Path("c")


@pytest.mark.parametrize("task", list(Kind))
def test_task_is_one_of_nine_in_any_case(task: str, run: Run, served: list[Settings]) -> None:
    run("serve", "-t", task.upper())

    assert served[0].task == task


@pytest.mark.parametrize("level", ["none", "basic", "strict", "sandbox"])
def test_security_level_is_one_of_four(level: str, run: Run, served: list[Settings]) -> None:
    run("serve", "--security-level", level)

    assert served[0].security_level == level.upper()


@pytest.mark.parametrize("mode", ["read_write", "read_only", "write_only"])
def test_cache_mode_of_other_deployments_is_no_obstacle(
    mode: str, run: Run, served: list[Settings]
) -> None:
    run("serve", "--enable-latent-cache", "--cache-mode", mode)

    assert len(served) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("-t", "v2t"),
        ("-p", "65536"),
        ("-g", "0"),
        ("-n", "17"),
        ("--security-level", "high"),
        ("--cache-mode", "none"),
        ("--skip-validation", "--validate-only"),
    ],
)
def test_option_that_makes_no_sense_is_misuse(
    arguments: tuple[str, ...], run: Run, served: list[Settings]
) -> None:
    outcome = run("serve", *arguments)

    assert (outcome.code, served) == (2, [])
    assert arguments[0] in outcome.stderr


def test_pipeline_file_that_does_not_exist_is_one_line(run: Run, served: list[Settings]) -> None:
    outcome = run("serve", "none.py")

    assert (outcome.code, served) == (1, [])
    assert outcome.stderr == ("error: pipeline file 'none.py' does not exist; name a Python file\n")


DOCUMENTED_OPTIONS = [
    *("--pipe_path", "-pp", "--task", "-t", "--port", "-p", "--host", "--cache-dir", "-c"),
    *("--parallelism", "-g", "--gpu-num", "--num-replicas", "-n", "--security-level"),
    *("--skip-validation", "--validate-only", "--enable-latent-cache", "--disable-latent-cache"),
    *("--cache-mode", "--warmup"),
]


def test_help_has_every_documented_option_even_in_a_narrow_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    words = re.split(r"[\s,.]+", run("serve", "--help").stdout)

    assert set(DOCUMENTED_OPTIONS) <= set(words)


def test_help_groups_the_options_by_subject(run: Run) -> None:
    text = run("serve", "--help").stdout

    panels = ["─ Pipeline ─", "─ Network ─", "─ Resources ─", "─ Security ─", "─ Logging ─"]
    assert [text.index(panel) for panel in panels] == sorted(text.index(each) for each in panels)


def test_exit_code_is_the_service_s(run: Run, served: list[Settings]) -> None:
    assert run("serve").code == 3


def test_every_option_arrives(run: Run, served: list[Settings]) -> None:
    run(
        *("serve", "-t", "T2I", "-p", "9000", "--host", "0.0.0.0", "-c", "cache", "--gpu-num", "4"),
        *("-n", "2", "--no-gateway", "--log-format", "json", "--otlp-endpoint", "collector:4317"),
        *("--drain-seconds", "2.5", "--warmup", "--security-level", "Basic"),
    )

    expected: dict[str, Any] = {
        "task": "t2i",
        "port": 9000,
        "host": "0.0.0.0",
        "cache_dir": Path("cache"),
        "parallelism": 4,
        "num_replicas": 2,
        "gateway": False,
        "log_format": "json",
        "otlp_endpoint": "collector:4317",
        "drain_seconds": 2.5,
        "warmup": True,
        "security_level": "BASIC",
    }
    assert served[0].model_dump(include=set(expected)) == expected


@pytest.mark.parametrize(
    ("setting", "in_environment", "option", "as_option"),
    [
        ("task", "t2v", "--task", "vc"),
        ("host", "0.0.0.0", "--host", "127.0.0.2"),
        ("port", 9001, "--port", 9002),
        ("cache_dir", Path("a"), "--cache-dir", Path("b")),
        ("parallelism", 4, "--parallelism", 8),
        ("num_replicas", 2, "--num-replicas", 4),
        ("security_level", "BASIC", "--security-level", "NONE"),
        ("drain_seconds", 1.0, "--drain-seconds", 2.0),
        ("log_format", "json", "--log-format", "console"),
    ],
)
def test_option_wins_over_environment_and_environment_over_default(
    run: Run,
    served: list[Settings],
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    in_environment: object,
    option: str,
    as_option: object,
) -> None:
    monkeypatch.setenv(f"TELEFUSER_{setting.upper()}", str(in_environment))

    run("serve")
    run("serve", option, str(as_option))

    assert [getattr(each, setting) for each in served] == [in_environment, as_option]


def test_setting_that_makes_no_sense_is_one_line(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEFUSER_PORT", "eight")

    outcome = run("serve")

    assert outcome.code == 1
    assert outcome.stderr == "error: TELEFUSER_PORT: must be a whole number\n"


def test_two_pipeline_files_are_misuse(run: Run, served: list[Settings]) -> None:
    outcome = run("serve", "a.py", "-pp", "b.py")

    assert (outcome.code, served) == (2, [])


def test_what_does_not_count_is_logged_before_the_start(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEFUSER_PROT", "1")
    monkeypatch.setenv("TELEFUSER_LOG_FORMAT", "structured")

    outcome = run("serve", "--enable-latent-cache", "--cache-mode", "READ_ONLY")

    lines = [json.loads(line) for line in outcome.stderr.splitlines()]
    assert [(line["level"], line["event"]) for line in lines] == [
        ("warning", "--enable-latent-cache has no effect here"),
        ("warning", "--cache-mode has no effect here"),
        ("warning", "TELEFUSER_PROT is unknown; did you mean TELEFUSER_PORT?"),
    ]
    assert len(served) == 1


def test_disabled_latent_cache_needs_no_warning(run: Run, served: list[Settings]) -> None:
    assert run("serve", "--disable-latent-cache").stderr == ""


def test_file_is_checked_before_the_start_as_the_settings_say(
    run: Run,
    served: list[Settings],
    checked: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TELEFUSER_SECURITY_LEVEL", "BASIC")
    monkeypatch.setenv("TELEFUSER_MAX_PPL_FILE_SIZE", "2048")
    monkeypatch.setenv("TELEFUSER_ALLOW_UNSAFE_PIPELINES", "true")
    monkeypatch.setenv("TELEFUSER_STRICT_VALIDATION", "false")

    run("serve", "p.py")

    assert checked == [
        {
            "path": Path("p.py"),
            "level": Level.BASIC,
            "max_bytes": 2048,
            "allow_unsafe": True,
            "strict_validation": False,
        }
    ]
    assert len(served) == 1


def test_embedded_pipeline_is_checked_too_and_passes(run: Run, served: list[Settings]) -> None:
    outcome = run("serve", "--validate-only")

    assert (outcome.code, served) == (0, [])
    assert f"Security Validation Report for: {served_file(None)}" in outcome.stdout
    assert "Status: SAFE" in outcome.stdout


@pytest.mark.parametrize("level", ["strict", "none"])
def test_unsafe_file_is_refused_unless_the_level_is_none(
    level: str, run: Run, started: list[Settings], tmp_path: Path
) -> None:
    (tmp_path / "p.py").write_text(UNSAFE)

    outcome = run("serve", "p.py", "--security-level", level)

    if level == "none":
        assert (outcome.code, len(started)) == (3, 1)
    else:
        assert (outcome.code, started) == (1, [])
        assert "Security validation failed" in outcome.stderr
        assert "Traceback" not in outcome.stderr


def test_skipped_validation_serves_an_unsafe_file(
    run: Run, served: list[Settings], checked: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "p.py").write_text(UNSAFE)

    outcome = run("serve", "./p.py", "--skip-validation")

    assert (outcome.code, len(served), checked) == (3, 1, [])


def test_validation_only_prints_the_report_and_ends_with_1_for_an_unsafe_file(
    run: Run, served: list[Settings], tmp_path: Path
) -> None:
    (tmp_path / "p.py").write_text(UNSAFE)

    outcome = run("serve", "./p.py", "--validate-only")

    assert (outcome.code, served) == (1, [])
    assert "Status: UNSAFE" in outcome.stdout


def test_validation_only_has_the_level_and_the_size_of_the_settings(
    run: Run, served: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.py").write_text("#" * 3000)
    monkeypatch.setenv("TELEFUSER_MAX_PPL_SIZE", "2048")

    refused = run("serve", "./p.py", "--validate-only")
    passed = run("serve", "./p.py", "--validate-only", "--security-level", "none")

    assert (refused.code, passed.code) == (1, 0)
    assert "File too large: 3000 bytes (max: 2048)" in refused.stdout
