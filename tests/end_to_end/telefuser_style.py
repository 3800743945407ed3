"""A pipeline file as TeleFuser's users have them: it knows nothing of this service."""

import numpy as np
import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
from PIL import Image

PIPELINE_MANIFEST = {
    "contract_version": "v1",
    "pipeline_name": "tiny_ddim",
    "supported_tasks": ["t2v"],
    "task_contracts": {
        "t2v": {
            "media_type": "video",
            "parameters": {
                "prompt": {"type": "string", "required": True},
                "num_inference_steps": {"type": "integer", "default": 6},
                "seed": {"type": "integer", "default": 42},
            },
        }
    },
}


def get_pipeline(parallelism=1):
    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=32,
        block_out_channels=(32, 32),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    return DDIMPipeline(unet, DDIMScheduler())


def run_with_file(
    pipeline, prompt, seed, num_inference_steps, output_path, resolution, target_video_length=1
):
    assert resolution == "720p"
    image = pipeline(
        generator=torch.Generator().manual_seed(seed),
        num_inference_steps=num_inference_steps,
    ).images[0]
    save_video([image] * 4 * target_video_length, output_path)
    return output_path


def save_video(images: list[Image.Image], path: str) -> None:
    import av

    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height = images[0].size
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
