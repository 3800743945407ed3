"""Reads settings from what a test writes, never from this machine."""

from pathlib import Path

import pytest

from telefuser_grpc.config import ConfigError, Loaded, load


class Place:
    """A folder to start the service in, with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}

    def write(self, *lines: str, name: str = ".env") -> Path:
        """Writes an environment file."""
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        return path

    def load(self, **flags: object) -> Loaded:
        """Reads the settings as a start in the folder would."""
        return load(flags, environment=self.environment, folder=self.folder)

    def value(self, field: str) -> object:
        """Reads one setting."""
        return getattr(self.load().settings, field)

    def refusal(self, **flags: object) -> str:
        """Returns why the settings are refused."""
        with pytest.raises(ConfigError) as refused:
            self.load(**flags)
        return str(refused.value)
