"""What the tests of the settings share."""

from pathlib import Path

import pytest

from tests.config.reading import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty folder and an empty environment."""
    return Place(tmp_path)
