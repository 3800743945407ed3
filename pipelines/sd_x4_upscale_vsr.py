"""Video super-resolution, four times each side, by the Stable Diffusion x4 upscaler on 16 GB.

FlashVSR and its like have no class in diffusers. This is an upscaler of pictures, given one frame
of the clip after the other with the same noise; it knows nothing of the frames before, so fine
texture may flicker, which it does not with `kandinsky6_sr_vsr.py`. It takes small clips on a small
GPU, and words. The clip keeps its rate and its sound.
"""

from collections.abc import Mapping
from typing import Any

from diffusers import StableDiffusionUpscalePipeline

from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.clips import read_clip
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions

MODEL = "stabilityai/stable-diffusion-x4-upscaler"
MEMORY = "3 GB in bfloat16; 8 GB more for a clip of 320x240, 24 GB more for 640x480"
TESTED = "served, with tiny random weights"
MOST_FRAMES = 241

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "sd_x4_upscale_vsr",
    "supported_tasks": ["vsr"],
    "task_contracts": {
        "vsr": {
            "media_type": "video",
            "required_inputs": ["ref_video_path"],
            "optional_inputs": [],
            "input_limits": {
                "ref_video_path": {"max_frames": MOST_FRAMES, "max_pixels": 640 * 480}
            },
            "parameters": {
                "prompt": {
                    "type": "string",
                    "default": "",
                    "max_length": 2000,
                    "description": "What the clip shows, in plain words; helps a little.",
                },
                "negative_prompt": declare.negative_prompt("blur, noise, compression artifacts"),
                "seed": declare.seed(),
                "num_inference_steps": declare.steps(20),
                "guidance_scale": declare.guidance(4.0),
                "noise_level": {
                    "type": "integer",
                    "default": 20,
                    "minimum": 0,
                    "maximum": 350,
                    "description": "Noise put over each frame: more invents more detail.",
                },
                "output_path": declare.OUTPUT_PATH,
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> StableDiffusionUpscalePipeline:
    """Load the model; its VAE overflows in half precision."""
    return load_model(
        StableDiffusionUpscalePipeline, MODEL, options, parallelism=parallelism, float32=("vae",)
    )


def run(
    pipe: StableDiffusionUpscalePipeline, request: Mapping[str, Any], context: Any
) -> dict[str, Any]:
    """Serve one request; progress counts frames."""
    clip = read_clip(request["ref_video_path"], limit=MOST_FRAMES)
    context.progress(0, len(clip.frames), "upscaling")
    frames = []
    for number, frame in enumerate(clip.frames, start=1):
        frames.append(_upscaled(pipe, frame, request))
        context.preview(frames[-1])
        context.progress(number, len(clip.frames), "upscaling")
    return {"frames": frames, "fps": clip.fps, "audio": clip.audio}


def _upscaled(pipe: StableDiffusionUpscalePipeline, frame: Any, request: Mapping[str, Any]) -> Any:
    return pipe(
        prompt=request["prompt"],
        image=frame,
        negative_prompt=request["negative_prompt"],
        num_inference_steps=request["num_inference_steps"],
        guidance_scale=request["guidance_scale"],
        noise_level=request["noise_level"],
        generator=declare.generator(request["seed"]),
    ).images[0]
