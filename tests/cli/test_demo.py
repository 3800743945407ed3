"""`telefuser demo`, with a scripted service in the place of the real one."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from telefuser_grpc.cli import demo
from telefuser_grpc.cli.following import Interrupted
from tests.cli.conftest import Outcome
from tests.fakes.server import VIDEO

Run = Callable[..., Outcome]

ROOT = Path(__file__).parents[2]
SERVICE = """
import signal, sys
from tests.fakes.server import FakeServer

fake = FakeServer()
fake.port = int(sys.argv[1])
with fake:
    signal.sigwait([signal.SIGTERM])
open(sys.argv[2], "w").write("stopped")
"""


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that the scripted service writes when it was stopped as it should be."""
    note = tmp_path / "stopped"
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # it runs elsewhere
    script = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])" + SERVICE
    monkeypatch.setattr(
        demo, "_command", lambda port, cache: [sys.executable, "-c", script, str(port), str(note)]
    )
    return note


def test_demo_saves_a_video_says_what_is_next_and_stops_the_service(
    run: Run, stopped: Path, tmp_path: Path
) -> None:
    target = tmp_path / "demo.mp4"

    outcome = run("demo", "a blue square", "--output", str(target))

    assert outcome.code == 0
    assert target.read_bytes() == VIDEO
    for said in ("starting the service", "step 3 of 3", f"saved {target}", "Try next"):
        assert said in outcome.stdout
    assert "curl http://127.0.0.1:8000/v1/tasks/create" in outcome.stdout
    assert stopped.read_text() == "stopped"


def test_demo_shows_why_a_service_did_not_start(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [sys.executable, "-c", "raise SystemExit('error: no room on this machine')"]
    monkeypatch.setattr(demo, "_command", lambda port, cache: failing)

    outcome = run("demo")

    assert outcome.code == 1
    assert outcome.stderr == (
        "error: the service ended while it started:\nerror: no room on this machine\n"
    )


def test_demo_has_the_defaults_whatever_the_caller_has_set(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    telling = (
        "from telefuser_grpc.config import load; loaded = load();"
        "raise SystemExit(f'{set(loaded.origins.values())} {loaded.warnings}')"
    )
    monkeypatch.setattr(demo, "_command", lambda port, cache: [sys.executable, "-c", telling])
    monkeypatch.setenv("TELEFUSER_HOST", "0.0.0.0")
    (tmp_path / ".env").write_text("TELEFUSER_API_KEYS=studio:0123456789abcdef\n")
    monkeypatch.chdir(tmp_path)

    outcome = run("demo")

    assert outcome.stderr.endswith("\n{'default'} ()\n")


def test_interrupted_demo_stops_the_service(
    run: Run, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise Interrupted(3)

    monkeypatch.setattr(demo, "follow", interrupt)

    outcome = run("demo")

    assert outcome.code == 130
    assert stopped.read_text() == "stopped"
