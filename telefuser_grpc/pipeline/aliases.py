"""Lets files written for TeleFuser import the contract templates under the name they know."""

import importlib.util
import sys
from types import ModuleType

from telefuser_grpc.pipeline import templates

TEMPLATES_NAME = "telefuser.service.core.contract_templates"


def install_aliases() -> None:
    """Makes the templates importable as TeleFuser's, unless TeleFuser itself is installed."""
    if "telefuser" in sys.modules or importlib.util.find_spec("telefuser") is not None:
        return
    parts = TEMPLATES_NAME.split(".")
    for end in range(1, len(parts)):
        package = ModuleType(".".join(parts[:end]))
        package.__path__ = []
        sys.modules[package.__name__] = package
    sys.modules[TEMPLATES_NAME] = templates
