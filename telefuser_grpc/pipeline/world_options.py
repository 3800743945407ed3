"""What an operator has set, for files whose `get_service` is given no options."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from telefuser_grpc.pipeline.loader import PipelineLoadError
from telefuser_grpc.pipeline.options import Dtype, ModelOptions, Offload


def media_roots(environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Returns the folders that clients may name pictures of."""
    names = environment.get("TELEFUSER_ALLOWED_MEDIA_ROOTS", "").split(",")
    return tuple(Path(each.strip()) for each in names if each.strip())


def model_options(environment: Mapping[str, str] = os.environ) -> ModelOptions:
    """Returns which model is to be loaded, and how. Raises PipelineLoadError."""
    return ModelOptions(
        model=environment.get("TELEFUSER_MODEL", ""),
        models_folder=environment.get("TELEFUSER_MODELS_FOLDER", ""),
        dtype=_choice(environment, "TELEFUSER_DTYPE", get_args(Dtype), "auto"),
        offload=_choice(environment, "TELEFUSER_OFFLOAD", get_args(Offload), "none"),
    )


def _choice(environment: Mapping[str, str], name: str, choices: Sequence[str], usual: str) -> Any:
    value = environment.get(name, "").strip().lower() or usual
    if value not in choices:
        raise PipelineLoadError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return value
