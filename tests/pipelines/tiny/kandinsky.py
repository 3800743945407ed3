"""A Kandinsky 6 super-resolution model of random weights."""

from pathlib import Path

import torch
from diffusers import (
    Kandinsky6SRLatentUpscalerBank,
    Kandinsky6SRPipeline,
    Kandinsky6SRTransformer3DModel,
    Kandinsky6SRVAE,
    PiflowScheduler,
)

CHANNELS = 4
GRID = 2
"""Predictions in one output of a distilled model."""


def save_kandinsky6_sr(folder: Path) -> None:
    """Writes an upscaler of clips, in tiles of 128x128 pixels."""
    Kandinsky6SRPipeline(
        transformer=_transformer(),
        vae=_vae(),
        scheduler=PiflowScheduler(n_grid=GRID),
        latent_upscaler=_upscaler(),
    ).save_pretrained(folder)


def _transformer() -> Kandinsky6SRTransformer3DModel:
    torch.manual_seed(0)
    return Kandinsky6SRTransformer3DModel(
        in_visual_dim=CHANNELS,
        out_visual_dim=GRID * CHANNELS,
        time_dim=16,
        model_dim=32,
        ff_dim=32,
        num_visual_blocks=2,
        axes_dims=(4, 6, 6),
        tile_sizes=((128, 128),),
    ).eval()


def _vae() -> Kandinsky6SRVAE:
    torch.manual_seed(0)
    return Kandinsky6SRVAE(
        latent_channels=CHANNELS,
        encoder_block_out_channels=(4,) * 5,
        decoder_block_out_channels=(4,) * 5,
        layers_per_block=1,
    ).eval()


def _upscaler() -> Kandinsky6SRLatentUpscalerBank:
    torch.manual_seed(0)
    return Kandinsky6SRLatentUpscalerBank(
        in_channels=CHANNELS,
        stage_channels=(8, 8, 8),
        num_pre_blocks=1,
        num_mid_blocks=1,
        num_post_blocks=1,
        num_x2_adapter_blocks=1,
    ).eval()
