"""Z-Image Turbo text-to-image, 6 billion parameters: a megapixel in nine steps on a GPU of 24 GB.

It is distilled to work without guidance; over 0 the negative prompt counts and a step takes twice
as long, which suits Z-Image itself (TELEFUSER_MODEL=Tongyi-MAI/Z-Image).
"""

from collections.abc import Mapping
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

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "z_image_turbo",
    "supported_tasks": ["t2i"],
    "task_contracts": {
        "t2i": {
            "media_type": "image",
            "parameters": {
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
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> ZImagePipeline:
    """Load the model."""
    return load_model(ZImagePipeline, MODEL, options, parallelism=parallelism)


def run(pipe: ZImagePipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    width, height = tabled_size(request, SIZES, multiple=16)
    images = pipe(
        prompt=request["prompt"],
        negative_prompt=request["negative_prompt"],
        width=width,
        height=height,
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=request["guidance_scale"],
        generator=declare.generator(request["seed"]),
    ).images
    return {"images": images}
