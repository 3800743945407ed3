"""Lends each run schedulers that no run before it has stepped: they keep a history of their own."""

import copy
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def fresh_schedulers(holders: Iterable[Any]) -> Iterator[None]:
    """Puts copies in the place of the diffusers schedulers that some objects hold themselves.

    A scheduler held twice is one copy. The originals, which nothing steps, are back afterwards.
    """
    places = [_attributes(holder) for holder in holders]
    held = [
        (place, name, value)
        for place in places
        for name, value in place.items()
        if _is_scheduler(value)
    ]
    copies = {id(original): copy.deepcopy(original) for _, _, original in held}
    for place, name, original in held:
        place[name] = copies[id(original)]
    try:
        yield
    finally:
        for place, name, original in held:
            place[name] = original


def _attributes(holder: Any) -> MutableMapping[str, Any]:
    """Returns where an object keeps what it holds; written to past its `__setattr__`."""
    if isinstance(holder, MutableMapping):
        return holder
    return getattr(holder, "__dict__", {})


def _is_scheduler(value: Any) -> bool:
    return any(
        base.__name__ == "SchedulerMixin" and base.__module__.startswith("diffusers.")
        for base in type(value).__mro__
    )
