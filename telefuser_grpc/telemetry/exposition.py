"""Writes the page that Prometheus reads."""

import re

from prometheus_client import CollectorRegistry, generate_latest

_VALUE = re.compile(rb"^([^#].*) (\d[\d.e+]*)$", re.MULTILINE)


def exposition(registry: CollectorRegistry) -> bytes:
    """Returns all metrics in the text format 0.0.4, whole numbers written as such."""
    return _VALUE.sub(_whole, generate_latest(registry))


def _whole(line: re.Match[bytes]) -> bytes:
    series, written = line.groups()
    value = float(written)
    return b"%b %d" % (series, value) if value.is_integer() else line[0]
