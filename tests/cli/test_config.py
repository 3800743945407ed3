"""`telefuser config`: what it shows, where from, and what it keeps to itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr

from telefuser_grpc import config
from telefuser_grpc.config import Loaded, Settings
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder to ask in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(outcome: Outcome, name: str) -> list[str]:
    return next(line.split() for line in outcome.stdout.splitlines() if line.startswith(name))


def facts(run: Run) -> dict[str, dict[str, Any]]:
    return json.loads(run("config", "--json").stdout)  # type: ignore[no-any-return]


def test_row_has_name_value_and_where_it_comes_from(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("TELEFUSER_HOST=0.0.0.0\n")
    monkeypatch.setenv("TELEFUSER_RATE_LIMIT_REQUESTS_PER_MINUTE", "100")

    outcome = run("config")

    assert row(outcome, "SETTING") == ["SETTING", "VALUE", "FROM"]
    assert row(outcome, "port") == ["port", "8000", "default"]
    assert row(outcome, "host") == ["host", "0.0.0.0", "TELEFUSER_HOST", "in", ".env"]
    assert row(outcome, "rate_limit_rpm")[1:] == [
        "100",
        "TELEFUSER_RATE_LIMIT_REQUESTS_PER_MINUTE",
    ]
    assert row(outcome, "gateway")[1] == "true"
    assert row(outcome, "otlp_endpoint")[1] == "-"
    assert row(outcome, "cors_origins")[1] == "[]"


def test_every_setting_has_a_row(run: Run) -> None:
    names = [line.split()[0] for line in run("config").stdout.splitlines()]

    assert names == ["SETTING", *Settings.model_fields]


def test_json_is_one_object_with_values_as_they_are(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEFUSER_PORT", "8080")

    shown = facts(run)

    assert list(shown) == list(Settings.model_fields)
    assert shown["port"] == {
        "value": 8080,
        "from": "TELEFUSER_PORT",
        "variable": "TELEFUSER_PORT",
        "description": "Port to listen on; 0 takes a free one",
    }
    assert shown["access_log"]["variable"] == "TELEFUSER_ENABLE_ACCESS_LOG"
    assert shown["parallelism"]["value"] is None


def test_warnings_are_on_stderr_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEFUSER_PROT", "1")

    outcome = run("config", "--json")

    assert json.loads(outcome.stdout)
    assert outcome.stderr == ("warning: TELEFUSER_PROT is unknown; did you mean TELEFUSER_PORT?\n")
    assert outcome.code == 0


def test_setting_that_makes_no_sense_ends_with_1_as_serve_does(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEFUSER_PORT", "eight")

    outcome = run("config")

    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == "error: TELEFUSER_PORT: must be a whole number\n"


@pytest.mark.parametrize(
    ("name", "written", "shown"),
    [
        ("OTLP_ENDPOINT", "me:swordfish@collector:4317", "***@collector:4317"),
        ("PUBLIC_BASE_URL", "https://me:swordfish@v.example.com", "https://***@v.example.com"),
    ],
)
def test_credentials_of_an_address_are_not_shown(
    name: str, written: str, shown: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TELEFUSER_{name}", written)

    assert row(run("config"), name.lower())[1] == shown
    assert facts(run)[name.lower()]["value"] == shown


def test_keys_are_not_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEFUSER_API_KEYS", "studio:swordfish-0123456789")

    shown = run("config").stdout + run("config", "--json").stdout

    assert row(run("config"), "api_keys")[1] == "**********"
    assert "swordfish" not in shown


def test_secret_is_stars_in_both_forms(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class WithSecret(Settings):
        turn_credential: SecretStr = Field(SecretStr("swordfish"), description="A secret")

    settings = WithSecret()
    loaded = Loaded(settings=settings, origins=dict.fromkeys(WithSecret.model_fields, "default"))
    monkeypatch.setattr(config, "load", lambda: loaded)

    shown = run("config").stdout + run("config", "--json").stdout

    assert "turn_credential" in shown
    assert "swordfish" not in shown
