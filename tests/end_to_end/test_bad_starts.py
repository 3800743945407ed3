"""A service that cannot start says why in one line, and leaves nothing running."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import TINY
from tests.fakes.service import Service, clean_environment

NOOP = TINY / "noop_pipeline.py"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(NOOP, tmp_path_factory.mktemp("running")) as service:
        yield service


def serve(folder: Path, *arguments: object) -> tuple[int, str]:
    """Returns the exit code and what was written to stderr."""
    command = [sys.executable, "-m", "telefuser_grpc.cli.main", "serve", *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def errors(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("error: ")]


def test_unknown_file(tmp_path: Path) -> None:
    code, stderr = serve(tmp_path, "missing.py")

    assert (code, stderr) == (
        1,
        "error: pipeline file 'missing.py' does not exist; name a Python file\n",
    )


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise RuntimeError('no weights')", "no weights"),
        ("x = 1", "Pipeline file must define run_with_file"),
    ],
)
def test_file_that_cannot_be_loaded(tmp_path: Path, source: str, why: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(source)

    code, stderr = serve(tmp_path, file, "--port", 0, "--cache-dir", tmp_path / "cache")

    assert code == 1
    (line,) = errors(stderr)
    assert why in line
    assert "Traceback" not in line
    assert str(tmp_path) not in line


def test_file_that_raises_is_traced_in_the_log_for_its_author(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(
        "def get_pipeline():\n    return {}['transformer']\ndef run_with_file(p): ...\n"
    )

    _, stderr = serve(tmp_path, file, "--port", 0, "--cache-dir", tmp_path / "cache")

    (line,) = errors(stderr)
    assert line.endswith("broken.py: KeyError: 'transformer' (line 2)")
    assert "return {}['transformer']" in stderr


def test_port_in_use(running: Service, tmp_path: Path) -> None:
    code, stderr = serve(tmp_path, NOOP, "--port", running.port, "--cache-dir", tmp_path / "cache")

    assert code == 1
    (line,) = errors(stderr)
    assert f"127.0.0.1:{running.port} is in use" in line
    assert "Traceback" not in stderr


def test_port_in_use_without_a_gateway(running: Service, tmp_path: Path) -> None:
    options = ("--port", running.port, "--cache-dir", tmp_path / "cache", "--no-gateway")

    code, stderr = serve(tmp_path, NOOP, *options)

    assert code == 1
    (line,) = errors(stderr)
    assert str(running.port) in line
    assert "Traceback" not in stderr


def test_cache_in_use(running: Service, tmp_path: Path) -> None:
    code, stderr = serve(tmp_path, NOOP, "--port", 0, "--cache-dir", running.cache)

    assert code == 1
    (line,) = errors(stderr)
    assert "in use by another server" in line
    assert "Traceback" not in stderr
    with running.client() as client:
        assert client.wait(client.create("t2v", "p").id).state == "completed"


def test_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    code, stderr = serve(tmp_path, NOOP, "--port", 0, "--cache-dir", tmp_path / "file" / "cache")

    assert code == 1
    assert len(errors(stderr)) == 1
    assert "Traceback" not in stderr


def test_database_of_another_program(tmp_path: Path) -> None:
    (tmp_path / "tasks.db").write_bytes(b"no database " * 1000)

    code, stderr = serve(tmp_path, NOOP, "--port", 0, "--cache-dir", tmp_path)

    assert code == 1
    (line,) = errors(stderr)
    assert "tasks.db" in line
    assert "Traceback" not in stderr


def test_devices_that_cannot_be_split(tmp_path: Path) -> None:
    code, stderr = serve(tmp_path, NOOP, "--port", 0, "--parallelism", 3, "--num-replicas", 2)

    assert code == 1
    assert errors(stderr) == ["error: --parallelism (3) must be divisible by --num-replicas (2)"]


@pytest.mark.parametrize("option", [("--port", "eighty"), ("--port", "70000"), ("--nonsense",)])
def test_misuse_is_code_two(tmp_path: Path, option: tuple[str, ...]) -> None:
    code, stderr = serve(tmp_path, NOOP, *option)

    assert code == 2
    assert "Traceback" not in stderr
