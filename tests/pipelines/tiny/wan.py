"""Wan models of random weights."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)

from tests.pipelines.tiny.text import WIDTH, t5_tokenizer, umt5_encoder


def save_wan21_t2v(folder: Path) -> None:
    """Writes a Wan2.1 text-to-video model."""
    WanPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=umt5_encoder(),
        vae=vae(),
        transformer=transformer(),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000
        ),
    ).save_pretrained(folder)


def vae() -> AutoencoderKLWan:
    """Returns an autoencoder: 8 times smaller across, 4 times in time, 16 channels."""
    torch.manual_seed(0)
    return AutoencoderKLWan(
        base_dim=3,
        z_dim=16,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
    ).eval()


def transformer(*, in_channels: int = 16, image_dim: int | None = None) -> WanTransformer3DModel:
    """Returns a denoiser; with `image_dim` it looks at a picture too."""
    torch.manual_seed(0)
    return WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=in_channels,
        out_channels=16,
        text_dim=WIDTH,
        freq_dim=256,
        ffn_dim=32,
        num_layers=2,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
        image_dim=image_dim,
    ).eval()
