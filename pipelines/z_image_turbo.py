"""Z-Image Turbo text-to-image, 6 billion parameters: a megapixel in nine steps on a GPU of 24 GB.

It is distilled to work without guidance; over 0 the negative prompt counts and a step takes twice
as long, which suits Z-Image itself (TELEFUSER_MODEL=Tongyi-MAI/Z-Image).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from diffusers import ZImagePipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import tabled_size

MODEL = "Tongyi-MAI/Z-Image-Turbo"
MEMORY = "21 GB in bfloat16, 13 GB with TELEFUSER_OFFLOAD=model"
TESTED = "served, with tiny random weights"
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
    "prompt": declare.prompt(example="A red fox in fresh snow, morning light"),
    "negative_prompt": declare.negative_prompt(),
    "seed": declare.seed(),
    "aspect_ratio": declare.aspect_ratio("1:1", tuple(SIZES)),
    "resolution": declare.exact_size((*SIZES.values(), *ALSO)),
    "width": declare.side("width", maximum=2048, multiple=16),
    "height": declare.side("height", maximum=2048, multiple=16),
    "num_inference_steps": declare.steps(9),
    "guidance_scale": declare.guidance(0.0, minimum=0.0),
    "output_format": declare.output_format(),
    "output_path": declare.OUTPUT_PATH,
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "z_image_turbo",
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


def get_pipeline(parallelism: int, options: ModelOptions) -> ZImagePipeline:
    """Load the model; what is made together is decoded one by one, in the memory of one."""
    pipe = load_model(ZImagePipeline, MODEL, options, parallelism=parallelism)
    pipe.vae.enable_slicing()
    return pipe


def run(pipe: ZImagePipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    return run_batch(pipe, [request], [context])[0]


def run_batch(
    pipe: ZImagePipeline, requests: Sequence[Mapping[str, Any]], contexts: Sequence[Any]
) -> list[dict[str, Any]]:
    """Serve requests that agree in the keys of `batch`."""
    shared = requests[0]
    width, height = tabled_size(shared, SIZES, multiple=16)
    images = pipe(
        prompt=[each["prompt"] for each in requests],
        negative_prompt=[each["negative_prompt"] for each in requests],
        width=width,
        height=height,
        num_inference_steps=shared["num_inference_steps"],
        guidance_scale=shared["guidance_scale"],
        generator=[declare.generator(each["seed"]) for each in requests],
    ).images
    return [{"images": [image]} for image in images]
