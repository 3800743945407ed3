"""The files of the deployment."""

from pathlib import Path

import pytest

from tests.gateway.deploy.dockerfile import Stage, read_dockerfile

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "gateway/deploy"


@pytest.fixture(scope="session")
def stages() -> dict[str, Stage]:
    """The stages of the image, by name."""
    return read_dockerfile(FOLDER / "Dockerfile")
