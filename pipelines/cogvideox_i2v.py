"""CogVideoX image-to-video, 5 billion parameters: six seconds of 720x480 on a GPU of 24 GB.

The model has learnt one size; pictures are scaled and cut to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from diffusers import CogVideoXDPMScheduler, CogVideoXImageToVideoPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.media import read_image
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import fitted, frame_count

MODEL = "zai-org/CogVideoX-5b-I2V"
MEMORY = "21 GB in bfloat16, 12 GB with TELEFUSER_OFFLOAD=model and TELEFUSER_VAE_TILING"
TESTED = "served, with tiny random weights"
FPS = 8

PARAMETERS = {
    "prompt": declare.prompt(example="The panda nods to the rhythm"),
    "negative_prompt": declare.negative_prompt(),
    "seed": declare.seed(),
    "resolution": declare.choice("720x480", ("720x480",), "Width and height of the result."),
    "target_video_length": declare.seconds(6, maximum=6),
    "num_frames": declare.frames(maximum=49, every=8),
    "num_inference_steps": declare.steps(50),
    "guidance_scale": declare.guidance(6.0),
    "output_path": declare.OUTPUT_PATH,
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "cogvideox_i2v",
    "supported_tasks": ["i2v"],
    "task_contracts": {
        "i2v": {
            "media_type": "video",
            "required_inputs": ["first_image_path"],
            "optional_inputs": [],
            "parameters": PARAMETERS,
            "batch": declare.batch(PARAMETERS, max_size=4),
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> CogVideoXImageToVideoPipeline:
    """Load the model, with the schedule that its authors advise.

    Clips that are made together are decoded one by one, in the memory of one.
    """
    pipe = load_model(CogVideoXImageToVideoPipeline, MODEL, options, parallelism=parallelism)
    pipe.scheduler = CogVideoXDPMScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="trailing"
    )
    pipe.vae.enable_slicing()
    return pipe


def run(
    pipe: CogVideoXImageToVideoPipeline, request: Mapping[str, Any], context: Any
) -> dict[str, Any]:
    """Serve one request."""
    return run_batch(pipe, [request], [context])[0]


def run_batch(
    pipe: CogVideoXImageToVideoPipeline,
    requests: Sequence[Mapping[str, Any]],
    contexts: Sequence[Any],
) -> list[dict[str, Any]]:
    """Serve requests that agree in the keys of `batch`."""
    shared = requests[0]
    learnt, scale = pipe.transformer.config, pipe.vae_scale_factor_spatial
    size = (learnt.sample_width * scale, learnt.sample_height * scale)
    clips = pipe(
        image=[fitted(read_image(each["first_image_path"]), size) for each in requests],
        prompt=[each["prompt"] for each in requests],
        negative_prompt=[each["negative_prompt"] for each in requests],
        num_frames=frame_count(shared, fps=FPS, every=8),
        num_inference_steps=shared["num_inference_steps"],
        guidance_scale=shared["guidance_scale"],
        use_dynamic_cfg=True,
        generator=[declare.generator(each["seed"]) for each in requests],
        output_type="np",
    ).frames
    return [{"frames": frames, "fps": FPS} for frames in clips]
