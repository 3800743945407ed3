"""A Wan-Animate model of random weights."""

from pathlib import Path

import torch
from diffusers import WanAnimatePipeline, WanAnimateTransformer3DModel
from transformers import CLIPImageProcessor

from tests.pipelines.tiny.text import WIDTH
from tests.pipelines.tiny.wan import (
    BESIDE_NOISE,
    LOOK,
    image_encoder,
    name_processor_as_the_hub_does,
    parts,
)

FACE = 16
"""Width of the face that its motion encoder looks at."""


def save_wan_animate(folder: Path) -> None:
    """Writes a model that moves a picture like a pose and a face clip."""
    WanAnimatePipeline(
        **parts(),
        transformer=_transformer(),
        image_encoder=image_encoder(),
        image_processor=CLIPImageProcessor(size=32, crop_size=32),
    ).save_pretrained(folder)
    name_processor_as_the_hub_does(folder / "model_index.json")


def _transformer() -> WanAnimateTransformer3DModel:
    torch.manual_seed(0)
    return WanAnimateTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16 + BESIDE_NOISE,
        latent_channels=16,
        out_channels=16,
        text_dim=WIDTH,
        freq_dim=256,
        ffn_dim=32,
        num_layers=2,
        image_dim=LOOK,
        added_kv_proj_dim=24,
        rope_max_seq_len=64,
        motion_encoder_channel_sizes={"4": 16, "8": 16, "16": 16},
        motion_encoder_size=FACE,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=16,
        face_encoder_hidden_dim=16,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=2,
    ).eval()
