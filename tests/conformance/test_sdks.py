"""The official SDKs, as they were published, are served as they expect.

`CONFORMANCE=all` runs the older releases too; what a case claims stands in its name, in `python`
and `node`.
"""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.conformance.cases import cases_of
from tests.conformance.driver import Driver
from tests.conformance.sdks import NEWEST, OLDER, Sdk

SDKS = NEWEST + (OLDER if os.environ.get("CONFORMANCE") == "all" else ())
CASES = [pytest.param(sdk, case, id=f"{sdk.name}-{case}") for sdk in SDKS for case in cases_of(sdk)]


@pytest.fixture(scope="module")
def driver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Sdk], Driver]]:
    """Starts the driver of an SDK for those of its cases that were chosen, one at a time."""
    chosen = [item.callspec.params for item in request.session.items if _is_case(item)]  # type: ignore[attr-defined] - it has
    drivers: dict[Sdk, Driver] = {}

    def driver_of(sdk: Sdk) -> Driver:
        if sdk not in drivers:
            _stop(drivers)
            cases = [params["case"] for params in chosen if params["sdk"] == sdk]
            drivers[sdk] = Driver(sdk, cases, tmp_path_factory.mktemp(sdk.name)).__enter__()
        return drivers[sdk]

    yield driver_of
    _stop(drivers)


@pytest.mark.parametrize(("sdk", "case"), CASES)
def test_serves(sdk: Sdk, case: str, driver: Callable[[Sdk], Driver]) -> None:
    outcome = driver(sdk).outcome(case)

    assert not outcome["failure"], "\n".join([outcome["failure"], *outcome["wire"]])


def _is_case(item: pytest.Item) -> bool:
    return item.name.startswith("test_serves[")


def _stop(drivers: dict[Sdk, Driver]) -> None:
    while drivers:
        drivers.popitem()[1].__exit__(None, None, None)
