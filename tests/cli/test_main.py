"""The command line as a whole."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution

import pytest

from telefuser_grpc import __version__
from telefuser_grpc.cli.main import main
from telefuser_grpc.cli.options import Kind
from telefuser_grpc.domain.kinds import DEFAULT_INPUTS
from tests.cli.conftest import Outcome

Run = Callable[..., Outcome]


def test_version_is_the_package_s(run: Run) -> None:
    assert run("--version").stdout == f"telefuser {__version__}\n"


def test_program_has_two_names() -> None:
    scripts = distribution("telefuser-grpc").entry_points.select(group="console_scripts")

    assert {each.name for each in scripts} == {"telefuser", "telefuser-grpc"}
    assert {each.value for each in scripts} == {f"{main.__module__}:{main.__name__}"}


def test_help_groups_the_commands_and_gives_examples(run: Run) -> None:
    text = run("--help").stdout

    assert text.index("Serve") < text.index("demo") < text.index("Use a running service")
    assert "telefuser serve my_pipeline.py" in text


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "serve",
        "config",
        "gateway render",
        "submit",
        "watch",
        "get",
        "list",
        "cancel",
        "download",
        "queue",
    ],
)
def test_every_command_has_help(command: str, run: Run) -> None:
    outcome = run(*command.split(), "--help")

    assert outcome.code == 0
    assert f"Usage: telefuser {command}" in outcome.stdout


def test_task_choices_are_the_kinds_of_the_domain() -> None:
    assert sorted(Kind) == sorted(DEFAULT_INPUTS)


def test_serve_starts_without_the_weight_of_a_terminal_or_a_gpu() -> None:
    code = "import sys, telefuser_grpc.cli.main; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert not {"rich", "torch", "grpc", "pydantic"} & set(loaded.stdout.split())
