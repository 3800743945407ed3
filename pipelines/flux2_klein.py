"""FLUX.2 klein, 9 billion parameters: pictures of words in four steps, or of up to four pictures.

It is distilled: only its base model (TELEFUSER_MODEL=black-forest-labs/FLUX.2-klein-base-9B, with
50 steps) heeds a guidance over 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from diffusers import Flux2KleinPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.previews import token_previews
from telefuser_grpc.pipeline.sizes import tabled_size

MODEL = "black-forest-labs/FLUX.2-klein-9B"
MEMORY = "35 GB in bfloat16, 19 GB with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
PICTURES = ("first_image_path", "image_2", "image_3", "image_4")
SIZES = {
    "1:1": "1024x1024",
    "16:9": "1280x720",
    "9:16": "720x1280",
    "4:3": "1152x864",
    "3:4": "864x1152",
    "3:2": "1248x832",
    "2:3": "832x1248",
}
ALSO = ("1536x1024", "1024x1536")

PARAMETERS = {
    "prompt": declare.prompt(example="A paper boat on a puddle, macro photograph"),
    "seed": declare.seed(),
    "aspect_ratio": declare.aspect_ratio("1:1", tuple(SIZES)),
    "resolution": declare.exact_size((*SIZES.values(), *ALSO)),
    "width": declare.side("width", maximum=2048, multiple=16),
    "height": declare.side("height", maximum=2048, multiple=16),
    "num_inference_steps": declare.steps(4),
    "guidance_scale": declare.guidance(1.0),
    "output_format": declare.output_format(),
    "output_path": declare.OUTPUT_PATH,
}
EDIT = {
    "media_type": "image",
    "required_inputs": ["first_image_path"],
    "optional_inputs": list(PICTURES[1:]),
    "input_limits": {name: {"max_aspect_ratio": 8} for name in PICTURES},
    "max_pixels": 2048 * 2048,
    "parameters": PARAMETERS,
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "flux2_klein",
    "supported_tasks": ["t2i", "edit", "i2i"],
    "task_contracts": {
        "t2i": {
            "media_type": "image",
            "max_pixels": 2048 * 2048,
            "parameters": PARAMETERS,
            "batch": declare.batch(PARAMETERS, max_size=8),
        },
        "edit": EDIT,
        "i2i": EDIT,
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> Flux2KleinPipeline:
    """Load the model; what is made together is decoded one by one, in the memory of one."""
    pipe = load_model(Flux2KleinPipeline, MODEL, options, parallelism=parallelism)
    pipe.vae.enable_slicing()
    return pipe


def run(pipe: Flux2KleinPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    return run_batch(pipe, [request], [context])[0]


def run_batch(
    pipe: Flux2KleinPipeline, requests: Sequence[Mapping[str, Any]], contexts: Sequence[Any]
) -> list[dict[str, Any]]:
    """Serve requests that agree in the keys of `batch`; only of words are there several."""
    shared = requests[0]
    width, height = tabled_size(shared, SIZES, multiple=16)
    given = [shared[name] for name in PICTURES if shared.get(name)]
    images = pipe(
        image=[read_image(path, at_least=64) for path in given] or None,
        prompt=[each["prompt"] for each in requests],
        width=width,
        height=height,
        num_inference_steps=shared["num_inference_steps"],
        guidance_scale=shared["guidance_scale"],
        generator=[declare.generator(each["seed"]) for each in requests],
        callback_on_step_end=token_previews(*contexts, aspect=width / height),
    ).images
    return [{"images": [image]} for image in images]
