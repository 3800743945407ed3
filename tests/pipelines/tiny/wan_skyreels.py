"""A SkyReels-V2 model of random weights; all but its denoiser is that of Wan2.1."""

from pathlib import Path

import torch
from diffusers import SkyReelsV2DiffusionForcingPipeline, SkyReelsV2Transformer3DModel

from tests.pipelines.tiny.text import WIDTH
from tests.pipelines.tiny.wan import parts


def save_skyreels(folder: Path) -> None:
    """Writes a model for diffusion forcing."""
    torch.manual_seed(0)
    transformer = SkyReelsV2Transformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=WIDTH,
        freq_dim=256,
        ffn_dim=32,
        num_layers=2,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=64,
        inject_sample_info=True,
    ).eval()
    SkyReelsV2DiffusionForcingPipeline(**parts(), transformer=transformer).save_pretrained(folder)
