"""`telefuser stream-serve`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from telefuser_grpc.app import sessions
from telefuser_grpc.cli import serving
from telefuser_grpc.config import Settings
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Settings]:
    """What a service was started with, in a folder with a file that was not really checked."""
    settings: list[Settings] = []

    def serve(given: Settings) -> int:
        settings.append(given)
        return 3

    monkeypatch.setattr(sessions, "serve", serve)
    monkeypatch.setattr(serving, "check_before_serving", lambda *_, **__: None)
    monkeypatch.setattr(serving, "configure_logging", lambda **_: None)
    (tmp_path / "walk.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return settings


def test_documented_defaults_hold_where_nobody_says_otherwise(
    run: Run, served: list[Settings]
) -> None:
    outcome = run("stream-serve", "walk.py")

    settings = served[0]
    assert outcome.code == 3
    assert (settings.pipe_path, settings.port, settings.host) == (Path("walk.py"), 8088, "0.0.0.0")
    assert (settings.parallelism, settings.security_level) == (None, "STRICT")


def test_environment_beats_the_defaults_and_an_option_both(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEFUSER_PORT", "9001")
    monkeypatch.setenv("TELEFUSER_HOST", "127.0.0.1")

    run("stream-serve", "walk.py", "-p", "9002")

    assert (served[0].port, served[0].host) == (9002, "127.0.0.1")


def test_every_option_arrives(run: Run, served: list[Settings]) -> None:
    run(
        *("stream-serve", "walk.py", "--host", "127.0.0.1", "-g", "2", "-c", "cache"),
        *("--no-gateway", "--log-format", "json", "--otlp-endpoint", "collector:4317"),
        *("--security-level", "Basic"),
    )

    expected: dict[str, Any] = {
        "host": "127.0.0.1",
        "parallelism": 2,
        "cache_dir": Path("cache"),
        "gateway": False,
        "log_format": "json",
        "otlp_endpoint": "collector:4317",
        "security_level": "BASIC",
    }
    assert served[0].model_dump(include=set(expected)) == expected


def test_skipped_validation_is_what_the_metadata_will_say(run: Run, served: list[Settings]) -> None:
    run("stream-serve", "walk.py", "--skip-validation")

    assert served[0].security_level == "NONE"


def test_file_is_needed(run: Run, served: list[Settings]) -> None:
    outcome = run("stream-serve")

    assert (outcome.code, served) == (2, [])
    assert "PIPE_PATH" in outcome.stderr


def test_world_that_no_class_can_load_is_named_with_its_nearest(
    run: Run, served: list[Settings]
) -> None:
    outcome = run("stream-serve", "examples/stream_server/stream_lingbot_world_fast.py")

    assert (outcome.code, served) == (1, [])
    assert "diffusers has no class for LingBot-World; the nearest is stream_sana_wm" in (
        outcome.stderr
    )
