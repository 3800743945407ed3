"""Kandinsky 6 video super-resolution, two to four times each side: clips of up to 121 frames.

FlashVSR and its like have no class in diffusers. This model is one for clips: it sees all frames
at once, so that texture stays where it is, and takes no words. It works in tiles of about 512x512
of the result, two steps each. The clip keeps its rate and its sound, and is cut to whole multiples
of 16 pixels. On a GPU its attention is compiled, which takes minutes at the first clip of a length.
"""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import partial
from types import SimpleNamespace
from typing import Any

from diffusers import Kandinsky6SRPipeline

from telefuser_grpc.errors import InvalidFields, Violation
from telefuser_grpc.pipeline import parameters as declare
from telefuser_grpc.pipeline.clips import Clip, read_clip
from telefuser_grpc.pipeline.models import load_model
from telefuser_grpc.pipeline.options import ModelOptions
from telefuser_grpc.pipeline.sizes import fitted
from telefuser_grpc.pipeline.tuning import device

MODEL = "kandinskylab/Kandinsky-6.0-VSR-distilled2steps-5s-Diffusers"
MEMORY = (
    "weights 14 GB in bfloat16, 7 GB with TELEFUSER_OFFLOAD=model; 5 GB and more for the frames"
)
TESTED = "served, with tiny random weights"
MOST_FRAMES = 121
MOST_PIXELS = 2560 * 1440

PIPELINE_CONTRACT = {
    "contract_version": "v1",
    "pipeline_name": "kandinsky6_sr_vsr",
    "supported_tasks": ["vsr"],
    "task_contracts": {
        "vsr": {
            "media_type": "video",
            "required_inputs": ["ref_video_path"],
            "optional_inputs": [],
            "input_limits": {
                "ref_video_path": {"max_frames": MOST_FRAMES, "max_pixels": MOST_PIXELS // 4}
            },
            "parameters": {
                "prompt": {
                    "type": "string",
                    "default": "",
                    "max_length": 2000,
                    "description": "Changes nothing: the model takes no words.",
                },
                "seed": declare.seed(),
                "resolution_scale": {
                    "type": "number",
                    "default": 2,
                    "enum": [2, 2.25, 4],
                    "description": "How many times as wide and as high the result is.",
                },
                "num_inference_steps": declare.steps(2, maximum=50),
                "lq_noise_scale": {
                    "type": "number",
                    "default": 0.7,
                    "minimum": 0.05,
                    "maximum": 1.0,
                    "description": "Noise put over the clip: more invents more detail.",
                },
                "output_path": declare.OUTPUT_PATH,
            },
        }
    },
}


def get_pipeline(parallelism: int, options: ModelOptions) -> Kandinsky6SRPipeline:
    """Load the model; its sparse attention only fits in memory when it is compiled."""
    pipe = load_model(Kandinsky6SRPipeline, MODEL, options, parallelism=parallelism)
    if device() == "cuda" and not options.compile:
        pipe.transformer.compile_repeated_blocks(fullgraph=True)
    pipe.decode_preview = _no_picture
    return pipe


def run(pipe: Kandinsky6SRPipeline, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Serve one request; progress counts the steps of all tiles."""
    clip = read_clip(request["ref_video_path"], limit=MOST_FRAMES)
    scale = request["resolution_scale"]
    _check(clip, scale, pipe.transformer_tile_sizes)
    width, height = clip.frames[0].size
    whole = [fitted(frame, (width // 16 * 16, height // 16 * 16)) for frame in clip.frames]
    missing = -(len(whole) - 1) % 4
    watched = copy(pipe)
    watched.progress_bar = partial(_told, context)
    frames = watched(
        video=whole + whole[-1:] * missing,
        resolution_scale=scale,
        num_inference_steps=request["num_inference_steps"],
        lq_noise_scale=request["lq_noise_scale"],
        generator=declare.generator(request["seed"]),
        output_type="np",
    ).frames[0]
    return {"frames": frames[: len(whole)], "fps": clip.fps, "audio": clip.audio}


def _check(clip: Clip, scale: float, tiles: tuple[tuple[int, int], ...]) -> None:
    """Refuse a clip that is too large for its scale, or smaller than a tile before it is scaled."""
    width, height = clip.frames[0].size
    rows, columns = min(tiles, key=lambda tile: abs(tile[1] / tile[0] - width / height))
    least = (columns // int(scale), rows // int(scale))
    if width * height * scale**2 > MOST_PIXELS:
        problem = f"of {width}x{height} would be more than 2560x1440 pixels; scale it down"
    elif width < least[0] or height < least[1]:
        problem = f"must be {least[0]}x{least[1]} at least, and is {width}x{height}; scale it up"
    else:
        return
    raise InvalidFields([Violation("ref_video_path", problem, "value_error")])


@contextmanager
def _told(context: Any, *, total: int) -> Iterator[SimpleNamespace]:
    """Stand for the progress bar of the model, which begins its steps anew in each tile."""
    context.progress(0, total)
    done = itertools.count(1)
    yield SimpleNamespace(update=lambda: context.progress(next(done), total))


def _no_picture(latents: Any) -> None:
    """Show nothing of a tile, which is no picture of the clip."""
