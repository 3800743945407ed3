"""What the tests of telemetry share."""

from collections.abc import Iterator

import pytest

from tests.fakes.otlp import OtlpReceiver


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """A collector of traces."""
    with OtlpReceiver() as receiver:
        yield receiver
