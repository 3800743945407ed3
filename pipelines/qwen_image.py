"""Qwen-Image text-to-image, 20 billion parameters: 1.7 megapixels, with legible writing in them.

Each aspect ratio has the one size that the model was trained with; others are made when asked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from diffusers import QwenImagePipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.previews import token_previews
from telefuser_grpc.pipeline.sizes import tabled_size

MODEL = "Qwen/Qwen-Image-2512"
MEMORY = "58 GB in bfloat16, 42 GB with TELEFUSER_OFFLOAD=model, 21 GB with int8 as well"
TESTED = "served, with tiny random weights"
SIZES = {
    "1:1": "1328x1328",
    "16:9": "1664x928",
    "9:16": "928x1664",
    "4:3": "1472x1104",
    "3:4": "1104x1472",
    "3:2": "1584x1056",
    "2:3": "1056x1584",
}
ALSO = ("1024x1024", "1536x1024", "1024x1536")

PARAMETERS = {
    "prompt": declare.prompt(example='A shop sign that says "Open until late"'),
    "negative_prompt": declare.negative_prompt(),
    "seed": declare.seed(),
    "aspect_ratio": declare.aspect_ratio("1:1", tuple(SIZES)),
    "resolution": declare.exact_size((*SIZES.values(), *ALSO)),
    "width": declare.side("width", maximum=2048, multiple=16),
    "height": declare.side("height", maximum=2048, multiple=16),
    "num_inference_steps": declare.steps(50),
    "true_cfg_scale": declare.guidance(4.0),
    "output_format": declare.output_format(),
    "output_path": declare.OUTPUT_PATH,
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "qwen_image",
    "supported_tasks": ["t2i"],
    "task_contracts": {
        "t2i": {
            "media_type": "image",
            "max_pixels": 2048 * 2048,
            "parameters": PARAMETERS,
            "batch": declare.batch(PARAMETERS, max_size=8),
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> QwenImagePipeline:
    """Load the model; what is made together is decoded one by one, in the memory of one."""
    pipe = load_model(QwenImagePipeline, MODEL, options, parallelism=parallelism)
    pipe.vae.enable_slicing()
    return pipe


def run(pipe: QwenImagePipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    return run_batch(pipe, [request], [context])[0]


def run_batch(
    pipe: QwenImagePipeline, requests: Sequence[Mapping[str, Any]], contexts: Sequence[Any]
) -> list[dict[str, Any]]:
    """Serve requests that agree in the keys of `batch`.

    Guidance needs something to steer away from, if only a space.
    """
    shared = requests[0]
    width, height = tabled_size(shared, SIZES, multiple=16)
    images = pipe(
        prompt=[each["prompt"] for each in requests],
        negative_prompt=[each["negative_prompt"] or " " for each in requests],
        width=width,
        height=height,
        num_inference_steps=shared["num_inference_steps"],
        true_cfg_scale=shared["true_cfg_scale"],
        generator=[declare.generator(each["seed"]) for each in requests],
        max_sequence_length=1024,
        callback_on_step_end=token_previews(*contexts, aspect=width / height),
    ).images
    return [{"images": [image]} for image in images]
