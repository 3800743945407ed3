"""The two services of the quick start, for the tests of all modules."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.documents.samples import on, sample
from tests.documents.serving import PLAIN, Served, lay_out
from tests.documents.shell import Outcome, run
from tests.end_to_end.gates import Gate

DRIVER = Path(__file__).parent / "driver"
LIMIT_VARIABLE, LIMIT = sample("load-test-limit").split("=")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service of the first command, on a machine with one GPU."""
    folder = lay_out(tmp_path_factory.mktemp("video"))
    modules = os.pathsep.join([str(DRIVER), os.environ.get("PYTHONPATH", "")])
    variables = {LIMIT_VARIABLE: LIMIT, "PYTHONPATH": modules}
    with Served(sample("serve-video"), folder, variables=variables) as served:
        yield served


@pytest.fixture(scope="session")
def image_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service of the second command."""
    with Served(sample("serve-image"), lay_out(tmp_path_factory.mktemp("image"))) as served:
        yield served


@pytest.fixture(scope="session")
def limited_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service on another port, with the settings that it comes with."""
    with Served(sample("serve-other-port"), lay_out(tmp_path_factory.mktemp("other"))) as served:
        yield served


@pytest.fixture(scope="session")
def plain_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service of one replica, whose file declares no contract."""
    folder = lay_out(tmp_path_factory.mktemp("plain"), PLAIN)
    with Served(sample("serve-one-replica"), folder) as served:
        yield served


@pytest.fixture(scope="session")
def http(service: Served) -> Iterator[httpx.Client]:
    with service.http() as http:
        yield http


@pytest.fixture
def ask(service: Served) -> Callable[[str], Outcome]:
    """Runs a sample for the service of the first command."""

    def run_sample(name: str) -> Outcome:
        return run(on(service.target, sample(name)), service.folder)

    return run_sample


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A closed gate, at which tasks with its path in `gate` wait."""
    with Gate(tmp_path / "gate") as gate:
        yield gate
