"""CogVideoX text-to-video, 5 billion parameters: six seconds of 720x480 on a GPU of 24 GB."""

from collections.abc import Mapping, Sequence
from typing import Any

from diffusers import CogVideoXDPMScheduler, CogVideoXPipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import frame_count, size_of

MODEL = "zai-org/CogVideoX-5b"
MEMORY = "21 GB in bfloat16, 12 GB with TELEFUSER_OFFLOAD=model and TELEFUSER_VAE_TILING"
TESTED = "served, with tiny random weights"
FPS = 8

PARAMETERS = {
    "prompt": declare.prompt(example="A panda plays a small guitar in a bamboo forest"),
    "negative_prompt": declare.negative_prompt(),
    "seed": declare.seed(),
    "resolution": declare.choice(
        "720x480", ("720x480", "480x720"), "Width and height of the result."
    ),
    "target_video_length": declare.seconds(6, maximum=6),
    "num_frames": declare.frames(maximum=49, every=8),
    "width": declare.side("width", maximum=720, multiple=16),
    "height": declare.side("height", maximum=720, multiple=16),
    "num_inference_steps": declare.steps(50),
    "guidance_scale": declare.guidance(6.0),
    "output_path": declare.OUTPUT_PATH,
}
PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "cogvideox_t2v",
    "supported_tasks": ["t2v"],
    "task_contracts": {
        "t2v": {
            "media_type": "video",
            "max_pixels": 720 * 480,
            "parameters": PARAMETERS,
            "batch": declare.batch(PARAMETERS, max_size=4),
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> CogVideoXPipeline:
    """Load the model, with the schedule that its authors advise.

    Clips that are made together are decoded one by one, in the memory of one.
    """
    pipe = load_model(CogVideoXPipeline, MODEL, options, parallelism=parallelism)
    pipe.scheduler = CogVideoXDPMScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="trailing"
    )
    pipe.vae.enable_slicing()
    return pipe


def run(pipe: CogVideoXPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request."""
    return run_batch(pipe, [request], [context])[0]


def run_batch(
    pipe: CogVideoXPipeline, requests: Sequence[Mapping[str, Any]], contexts: Sequence[Any]
) -> list[dict[str, Any]]:
    """Serve requests that agree in the keys of `batch`."""
    shared = requests[0]
    width, height = size_of(shared, multiple=16)
    clips = pipe(
        prompt=[each["prompt"] for each in requests],
        negative_prompt=[each["negative_prompt"] for each in requests],
        width=width,
        height=height,
        num_frames=frame_count(shared, fps=FPS, every=8),
        num_inference_steps=shared["num_inference_steps"],
        guidance_scale=shared["guidance_scale"],
        use_dynamic_cfg=True,
        generator=[declare.generator(each["seed"]) for each in requests],
        output_type="np",
    ).frames
    return [{"frames": frames, "fps": FPS} for frames in clips]
