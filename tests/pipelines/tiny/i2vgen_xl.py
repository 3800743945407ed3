"""An I2VGen-XL model of random weights."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, I2VGenXLPipeline
from diffusers.models.unets import I2VGenXLUNet

from tests.pipelines.tiny.clip import (
    clip_pictures,
    clip_text_encoder,
    clip_tokenizer,
    clip_vision_encoder,
)
from tests.pipelines.tiny.text import WIDTH


def save_i2vgen_xl(folder: Path) -> None:
    """Writes an image-to-video model: 32 times smaller across, four times as much as usual."""
    tokenizer = clip_tokenizer()
    I2VGenXLPipeline(
        tokenizer=tokenizer,
        text_encoder=clip_text_encoder(tokenizer),
        image_encoder=clip_vision_encoder(),
        feature_extractor=clip_pictures(),
        vae=_vae(),
        unet=_unet(),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False),
    ).save_pretrained(folder)


def _vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 6,
        up_block_types=("UpDecoderBlock2D",) * 6,
        block_out_channels=(8,) * 6,
        norm_num_groups=4,
    ).eval()


def _unet() -> I2VGenXLUNet:
    torch.manual_seed(0)
    return I2VGenXLUNet(
        sample_size=8,
        block_out_channels=(32, 32),
        layers_per_block=1,
        down_block_types=("DownBlock3D", "CrossAttnDownBlock3D"),
        up_block_types=("CrossAttnUpBlock3D", "UpBlock3D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
        norm_num_groups=8,
    ).eval()
