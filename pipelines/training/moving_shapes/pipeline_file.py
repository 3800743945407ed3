"""Loads `pipelines/moving_shapes.py` by its path, the way the service does."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

PATH = Path(__file__).parents[2] / "moving_shapes.py"

_spec = spec_from_file_location("moving_shapes", PATH)
moving_shapes = module_from_spec(_spec)
sys.modules["moving_shapes"] = moving_shapes
_spec.loader.exec_module(moving_shapes)
