"""A scripted service, and the command line run against it inside the test's process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from telefuser_grpc.cli.main import main
from tests.fakes.server import FakeServer


@dataclass(frozen=True)
class Outcome:
    """What a command has printed and the code that it ended with."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with FakeServer() as fake:
        monkeypatch.setenv("TELEFUSER_SERVER", fake.target)
        yield fake


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def command(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    return command
