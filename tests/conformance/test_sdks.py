"""The official SDKs, as they were published, are served as they expect.

`CONFORMANCE=all` runs the older releases too, and what takes long. What a case claims stands in
its name, in `python` and `node`.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conformance.cases import cases_of
from tests.conformance.driver import Driver, running
from tests.conformance.sdks import NEWEST, OLDER, Sdk

ALL = os.environ.get("CONFORMANCE") == "all"
CASES = [
    pytest.param(sdk, case, id=f"{sdk.name}-{case}")
    for sdk in (NEWEST + OLDER if ALL else NEWEST)
    for case in cases_of(sdk, patience=ALL)
]


class Drivers:
    """Keeps one driver at a time: that of the SDK that was asked for last."""

    def __init__(self, chosen: list[tuple[Sdk, str]], folder: Path) -> None:
        self._chosen = chosen
        self._folder = folder
        self._stack = ExitStack()
        self._drivers: dict[Sdk, Driver] = {}

    def of(self, sdk: Sdk) -> Driver:
        """Returns the driver of an SDK, which runs all of its cases that were chosen."""
        folder = self._folder / sdk.name
        if sdk not in self._drivers and not folder.exists():
            self.close()
            folder.mkdir()
            cases = [case for each, case in self._chosen if each == sdk]
            self._drivers[sdk] = self._stack.enter_context(running(sdk, cases, folder))
        return self._drivers[sdk]

    def close(self) -> None:
        """Ends the driver."""
        self._drivers.clear()
        self._stack.close()


@pytest.fixture(scope="module")
def drivers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Drivers]:
    """The drivers of the cases that were chosen."""
    mine = [item.callspec.params for item in request.session.items if item.path == request.path]  # type: ignore[attr-defined] - all have parameters
    chosen = [(each["sdk"], each["case"]) for each in mine]
    drivers = Drivers(chosen, tmp_path_factory.mktemp("conformance"))
    yield drivers
    drivers.close()


@pytest.mark.parametrize(("sdk", "case"), CASES)
def test_serves(sdk: Sdk, case: str, drivers: Drivers) -> None:
    outcome = drivers.of(sdk).outcome(case)

    assert not outcome["failure"], "\n".join([outcome["failure"], *outcome["wire"]])
