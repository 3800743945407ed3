"""`telefuser serve`: which settings it passes on, and how it fails to start."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc import app
from telefuser_grpc.config import Settings
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Settings]:
    settings: list[Settings] = []

    def serve(given: Settings) -> int:
        settings.append(given)
        return 3

    monkeypatch.setattr(app, "serve", serve)
    monkeypatch.chdir(tmp_path)
    return settings


@pytest.mark.parametrize(
    "arguments", [("p.py",), ("-pp", "p.py"), ("--pipe_path", "p.py"), ("--pipe-path", "p.py")]
)
def test_pipeline_file_has_four_spellings(
    arguments: tuple[str, ...], run: Run, served: list[Settings]
) -> None:
    run("serve", *arguments, "-p", "9000")

    assert (served[0].pipe_path, served[0].port) == (Path("p.py"), 9000)


def test_exit_code_is_the_service_s(run: Run, served: list[Settings]) -> None:
    assert run("serve").code == 3


def test_every_option_arrives(run: Run, served: list[Settings]) -> None:
    run(
        *("serve", "-t", "T2I", "-p", "9000", "--host", "0.0.0.0", "-c", "cache", "--gpu-num", "4"),
        *("-n", "2", "--no-gateway", "--log-format", "json", "--otlp-endpoint", "collector:4317"),
        *("--drain-seconds", "2.5"),
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
    }
    assert served[0].model_dump(include=set(expected)) == expected


def test_option_wins_over_environment_and_environment_over_default(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEFUSER_PORT", "9001")
    monkeypatch.setenv("TELEFUSER_GATEWAY", "false")

    run("serve")
    run("serve", "-p", "9002")

    assert [each.port for each in served] == [9001, 9002]
    assert not served[0].gateway


def test_setting_that_makes_no_sense_is_one_line(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEFUSER_PORT", "eight")

    outcome = run("serve")

    assert outcome.code == 1
    assert outcome.stderr.startswith("error: TELEFUSER_PORT: ")
    assert outcome.stderr.count("\n") == 1


def test_two_pipeline_files_are_misuse(run: Run, served: list[Settings]) -> None:
    outcome = run("serve", "a.py", "-pp", "b.py")

    assert (outcome.code, served) == (2, [])
