"""Reads server-sent events as a browser does."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx


class SseEvent(NamedTuple):
    """One event of a stream."""

    id: int
    name: str
    data: dict[str, Any]


def read_events(answer: httpx.Response) -> Iterator[SseEvent]:
    """Yields the events of an answer as they come; comments and `retry` are skipped."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield SseEvent(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}
