"""What an operator has set is read where nobody hands it over."""

from pathlib import Path

import pytest

from telefuser_grpc.pipeline.loader import PipelineLoadError
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.world_options import media_roots, model_options


def test_nothing_set_is_the_usual() -> None:
    assert model_options({}) == ModelOptions()
    assert media_roots({}) == ()


def test_variables_are_read() -> None:
    environment = {
        "TELEFUSER_MODEL": "/models/a",
        "TELEFUSER_MODELS_FOLDER": "/models",
        "TELEFUSER_DTYPE": "BFloat16",
        "TELEFUSER_OFFLOAD": "model",
        "TELEFUSER_ALLOWED_MEDIA_ROOTS": "/a, /b",
    }

    assert model_options(environment) == ModelOptions(
        model="/models/a", models_folder="/models", dtype="bfloat16", offload="model"
    )
    assert media_roots(environment) == (Path("/a"), Path("/b"))


def test_unknown_choice_is_refused() -> None:
    with pytest.raises(PipelineLoadError, match="TELEFUSER_DTYPE must be one of auto, bfloat16"):
        model_options({"TELEFUSER_DTYPE": "int3"})
