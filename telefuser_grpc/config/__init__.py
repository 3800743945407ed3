"""Settings, read once: an explicit flag wins over the environment, that over `.env`."""

from telefuser_grpc.config.embedded import not_found, pipelines_folder, served_file
from telefuser_grpc.config.loading import Loaded, load, load_settings
from telefuser_grpc.config.names import PREFIX
from telefuser_grpc.config.settings import Settings
from telefuser_grpc.config.sources import ConfigError

__all__ = [
    "PREFIX",
    "ConfigError",
    "Loaded",
    "Settings",
    "load",
    "load_settings",
    "not_found",
    "pipelines_folder",
    "served_file",
]
