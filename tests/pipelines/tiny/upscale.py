"""An upscaler of pictures of random weights."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    StableDiffusionUpscalePipeline,
    UNet2DConditionModel,
)

from tests.pipelines.tiny.clip import clip_text_encoder, clip_tokenizer
from tests.pipelines.tiny.text import WIDTH


def save_sd_x4_upscale(folder: Path) -> None:
    """Writes a Stable Diffusion x4 upscaler."""
    tokenizer = clip_tokenizer()
    StableDiffusionUpscalePipeline(
        tokenizer=tokenizer,
        text_encoder=clip_text_encoder(tokenizer),
        vae=_vae(),
        unet=_unet(),
        low_res_scheduler=DDPMScheduler(),
        scheduler=DDIMScheduler(prediction_type="v_prediction"),
        max_noise_level=350,
    ).save_pretrained(folder)


def _vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8,) * 3,
        norm_num_groups=4,
        scaling_factor=0.08333,
    ).eval()


def _unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=7,
        out_channels=4,
        block_out_channels=(16, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
        norm_num_groups=8,
        use_linear_projection=True,
        num_class_embeds=1000,
    ).eval()
