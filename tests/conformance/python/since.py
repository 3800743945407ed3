"""Says which release of the SDK brought what a case uses."""

from collections.abc import Callable
from typing import Any


def since(*release: int) -> Callable[[Any], Any]:
    """Leaves a case to releases from this one on."""

    def mark(case: Any) -> Any:
        case.since = release
        return case

    return mark
