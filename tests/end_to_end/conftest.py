"""What the tests of the whole service share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.gates import Gate

HERE = Path(__file__).parent
PUPPET = HERE / "puppet_pipeline.py"
TINY = HERE.parent / "pipelines"


@pytest.fixture
def make_gate(tmp_path: Path) -> Iterator[Callable[[], Gate]]:
    """Makes gates that all stand open in the end."""
    gates: list[Gate] = []

    def make() -> Gate:
        gates.append(Gate(tmp_path / f"gate{len(gates)}"))
        return gates[-1]

    yield make
    for gate in gates:
        gate.open()


@pytest.fixture
def gate(make_gate: Callable[[], Gate]) -> Gate:
    """A closed gate."""
    return make_gate()
