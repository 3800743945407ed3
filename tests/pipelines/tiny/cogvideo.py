"""CogVideoX models of random weights, for words and for pictures."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)

from tests.pipelines.tiny.t5 import t5_encoder
from tests.pipelines.tiny.text import WIDTH, t5_tokenizer


def save_cogvideox_t2v(folder: Path) -> None:
    """Writes a text-to-video model that can make any size."""
    transformer = _transformer(in_channels=4, use_rotary_positional_embeddings=True)
    CogVideoXPipeline(transformer=transformer, **_others()).save_pretrained(folder)


def save_cogvideox_i2v(folder: Path) -> None:
    """Writes an image-to-video model that has learnt 80x64 alone."""
    transformer = _transformer(
        in_channels=8,
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=True,
    )
    CogVideoXImageToVideoPipeline(transformer=transformer, **_others()).save_pretrained(folder)


def _others() -> dict[str, Any]:
    return {
        "tokenizer": t5_tokenizer(),
        "text_encoder": t5_encoder(),
        "vae": _vae(),
        "scheduler": CogVideoXDDIMScheduler(prediction_type="v_prediction"),
    }


def _transformer(*, in_channels: int, **positions: bool) -> CogVideoXTransformer3DModel:
    torch.manual_seed(0)
    return CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=in_channels,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=WIDTH,
        num_layers=1,
        sample_width=10,
        sample_height=8,
        sample_frames=9,
        **positions,
    ).eval()


def _vae() -> AutoencoderKLCogVideoX:
    torch.manual_seed(0)
    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8,) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    ).eval()
