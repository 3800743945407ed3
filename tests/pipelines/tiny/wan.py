"""Wan models of random weights."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from peft import LoraConfig, get_peft_model_state_dict
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

from tests.pipelines.tiny.text import WIDTH, t5_tokenizer, umt5_encoder

LOOK = 8
"""Width of what the image encoder says of a picture."""
BESIDE_NOISE = 20
"""Channels of the condition: a picture's 16, and 4 that say which frames are given."""


def save_wan21_t2v(folder: Path) -> None:
    """Writes a Wan2.1 text-to-video model."""
    WanPipeline(**parts(), transformer=transformer()).save_pretrained(folder)


def save_wan21_i2v(folder: Path) -> None:
    """Writes a Wan2.1 image-to-video model, which looks at the picture through CLIP."""
    WanImageToVideoPipeline(
        **parts(),
        transformer=transformer(in_channels=16 + BESIDE_NOISE, image_dim=LOOK),
        image_encoder=image_encoder(),
        image_processor=CLIPImageProcessor(size=32, crop_size=32),
    ).save_pretrained(folder)
    name_processor_as_the_hub_does(folder / "model_index.json")


def save_wan22_t2v(folder: Path) -> None:
    """Writes a Wan2.2 text-to-video model: two experts."""
    experts = {"transformer": transformer(), "transformer_2": transformer(seed=1)}
    WanPipeline(**parts(), **experts, boundary_ratio=0.875).save_pretrained(folder)


def save_wan22_i2v(folder: Path) -> None:
    """Writes a Wan2.2 image-to-video model: two experts, and no CLIP."""
    channels = 16 + BESIDE_NOISE
    WanImageToVideoPipeline(
        **parts(),
        transformer=transformer(in_channels=channels),
        transformer_2=transformer(in_channels=channels, seed=1),
        boundary_ratio=0.875,
    ).save_pretrained(folder)


def save_wan22_ti2v(folder: Path) -> None:
    """Writes a Wan2.2 model of one expert whose autoencoder makes 16 pixels of one."""
    WanPipeline(
        **parts() | {"vae": deep_vae()},
        transformer=transformer(in_channels=48, out_channels=48),
        expand_timesteps=True,
    ).save_pretrained(folder)


def save_adapter(path: Path, *, image_dim: int | None = None, seed: int = 0) -> None:
    """Writes an adapter for the denoiser of an image-to-video model, as training leaves it."""
    trained = transformer(in_channels=16 + BESIDE_NOISE, image_dim=image_dim, seed=seed)
    trained.add_adapter(
        LoraConfig(r=2, init_lora_weights=False, target_modules=["to_q", "to_k", "to_v"])
    )
    WanImageToVideoPipeline.save_lora_weights(
        path.parent,
        transformer_lora_layers=get_peft_model_state_dict(trained),
        weight_name=path.name,
    )


def parts() -> dict[str, Any]:
    """Returns what all Wan models have in common."""
    return {
        "tokenizer": t5_tokenizer(),
        "text_encoder": umt5_encoder(),
        "vae": vae(),
        "scheduler": UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000
        ),
    }


def image_encoder() -> CLIPVisionModel:
    """Returns an encoder of pictures."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=LOOK,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    return CLIPVisionModel(config).eval()


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


def deep_vae() -> AutoencoderKLWan:
    """Returns an autoencoder: 16 times smaller across, 4 times in time, 48 channels."""
    torch.manual_seed(0)
    return AutoencoderKLWan(
        base_dim=3,
        z_dim=48,
        in_channels=12,
        out_channels=12,
        is_residual=True,
        patch_size=2,
        latents_mean=[0.0] * 48,
        latents_std=[1.0] * 48,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        scale_factor_spatial=16,
        scale_factor_temporal=4,
        temperal_downsample=[False, True, True],
    ).eval()


def transformer(
    *, in_channels: int = 16, out_channels: int = 16, image_dim: int | None = None, seed: int = 0
) -> WanTransformer3DModel:
    """Returns a denoiser; with `image_dim` it looks at a picture too."""
    torch.manual_seed(seed)
    return WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=in_channels,
        out_channels=out_channels,
        text_dim=WIDTH,
        freq_dim=256,
        ffn_dim=32,
        num_layers=2,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=64,
        image_dim=image_dim,
    ).eval()


def name_processor_as_the_hub_does(index: Path) -> None:
    """Undoes that transformers writes another name where it has no torchvision."""
    index.write_text(index.read_text().replace("CLIPImageProcessorPil", "CLIPImageProcessor"))
