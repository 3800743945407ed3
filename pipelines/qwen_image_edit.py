"""Qwen-Image-Edit, 20 billion parameters: changes one picture as told, or joins up to three.

A result has a megapixel in the shape of the last picture, unless a size is asked. The model's
processor is built on torchvision, which is installed by itself: that for the torch that is here.
"""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import QwenImageEditPlusPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.checkpoint import ModelUnusable
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.previews import token_previews
from telefuser_grpc.pipeline.sizes import size_of

MODEL = "Qwen/Qwen-Image-Edit-2511"
MEMORY = "58 GB in bfloat16, 42 GB with TELEFUSER_OFFLOAD=model, 21 GB with int8 as well"
TESTED = "in process, with tiny random weights; served where there is torchvision"
PICTURES = ("first_image_path", "image_2", "image_3")

TASK = {
    "media_type": "image",
    "required_inputs": ["first_image_path"],
    "optional_inputs": ["image_2", "image_3"],
    "input_limits": {name: {"max_aspect_ratio": 8} for name in PICTURES},
    "max_pixels": 2048 * 2048,
    "parameters": {
        "prompt": declare.prompt(example="Put the cat of picture 1 on the sofa of picture 2"),
        "negative_prompt": declare.negative_prompt(),
        "seed": declare.seed(),
        "resolution": declare.exact_size(("1024x1024", "1536x1024", "1024x1536")),
        "width": declare.side("width", maximum=2048, multiple=16),
        "height": declare.side("height", maximum=2048, multiple=16),
        "num_inference_steps": declare.steps(40),
        "true_cfg_scale": declare.guidance(4.0),
        "output_format": declare.output_format(),
        "output_path": declare.OUTPUT_PATH,
    },
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "qwen_image_edit",
    "supported_tasks": ["edit", "i2i"],
    "task_contracts": {"edit": TASK, "i2i": TASK},
}


def get_pipeline(parallelism: int, options: ModelOptions) -> QwenImageEditPlusPipeline:
    """Load the model."""
    _check_torchvision()
    return load_model(QwenImageEditPlusPipeline, MODEL, options, parallelism=parallelism)


def run(
    pipe: QwenImageEditPlusPipeline, request: Mapping[str, Any], context: Any
) -> dict[str, Any]:
    """Serve one request; guidance needs something to steer away from, if only a space."""
    pictures = [read_image(request[name]) for name in PICTURES if request.get(name)]
    size = _size(request, like=pictures[-1])
    width, height = size or pictures[-1].size
    images = pipe(
        image=pictures,
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"] or " ",
        width=size and width,
        height=size and height,
        num_inference_steps=request["num_inference_steps"],
        true_cfg_scale=request["true_cfg_scale"],
        generator=declare.generator(request["seed"]),
        callback_on_step_end=token_previews(context, aspect=width / height),
    ).images
    return {"images": images}


def _check_torchvision() -> None:
    """Say what to install where the model's processor could not be read."""
    version = torch.__version__.partition("+")[0]
    index = "" if torch.version.cuda else " --index-url https://download.pytorch.org/whl/cpu"
    remedy = f"`pip install torchvision torch=={version}{index}`"
    try:
        import torchvision  # noqa: F401
    except ImportError as error:
        raise ModelUnusable(f"Qwen-Image-Edit needs torchvision: run {remedy}") from error
    except RuntimeError as error:
        raise ModelUnusable(
            "Qwen-Image-Edit needs torchvision, and the one that is here was built for another "
            f"torch: run `pip uninstall torchvision`, and then {remedy}"
        ) from error


def _size(request: Mapping[str, Any], *, like: Any) -> tuple[int, int] | None:
    """Return the size that is asked; None leaves it to the model."""
    if not any(request.get(name) for name in ("width", "height", "resolution")):
        return None
    return size_of(request, multiple=16, like=like)
