"""Finds the pipeline file that comes with the package."""

from pathlib import Path


def embedded_pipeline() -> Path:
    """Returns the pipeline file that is served when none is named."""
    package = Path(__file__).parents[1]
    folders = (package / "_pipelines", package.parent / "pipelines")
    return next(f for f in folders if f.is_dir()) / "moving_shapes.py"
