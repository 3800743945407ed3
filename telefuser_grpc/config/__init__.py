"""Settings, read once: an explicit flag wins over the environment, that over `.env`."""

from telefuser_grpc.config.embedded import embedded_pipeline
from telefuser_grpc.config.loading import Loaded, load, load_settings
from telefuser_grpc.config.names import PREFIX
from telefuser_grpc.config.settings import Settings
from telefuser_grpc.config.sources import ConfigError

__all__ = [
    "PREFIX",
    "ConfigError",
    "Loaded",
    "Settings",
    "embedded_pipeline",
    "load",
    "load_settings",
]
