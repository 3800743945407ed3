"""Callers of the OpenAI interface of a served service."""

import pytest

from tests.fakes.replicas import Script
from tests.server.backend import Backend
from tests.server.openai.video_caller import VIDEO_CONTRACT, VideoCaller


@pytest.fixture
def videos(loading: Backend) -> VideoCaller:
    """A caller of a service that makes videos of every kind, at once."""
    loading.open(VIDEO_CONTRACT)
    loading.pool.script = Script()
    return VideoCaller(loading)
