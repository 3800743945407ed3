"""Image models of random weights: Stable Diffusion, and FLUX.2 klein, which edits pictures too."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM

from tests.pipelines.tiny.clip import byte_pairs, clip_text_encoder, clip_tokenizer, vocabulary
from tests.pipelines.tiny.text import WIDTH

KLEIN_WIDTH = 8
KLEIN_LAYERS = 28
"""The pipeline looks at the 9th, 18th and 27th."""
CHAT = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def save_stable_diffusion(folder: Path) -> None:
    """Writes a text-to-image model of 64x64 pixels: twice smaller across."""
    tokenizer = clip_tokenizer()
    StableDiffusionPipeline(
        tokenizer=tokenizer,
        text_encoder=clip_text_encoder(tokenizer),
        vae=_vae(),
        unet=_unet(),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def save_flux2_klein(folder: Path) -> None:
    """Writes a model that makes pictures of words, or of a picture and words."""
    tokenizer = _qwen_tokenizer()
    Flux2KleinPipeline(
        tokenizer=tokenizer,
        text_encoder=_qwen(tokenizer),
        vae=_flux2_vae(),
        transformer=_flux2_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)


def _unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        sample_size=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
    ).eval()


def _vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=[32, 64],
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=4,
    ).eval()


def _qwen_tokenizer() -> Qwen2Tokenizer:
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    vocab, merges = vocabulary(byte_pairs(special))
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=merges, pad_token="<|endoftext|>")
    tokenizer.chat_template = CHAT
    return tokenizer


def _qwen(tokenizer: Qwen2Tokenizer) -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=KLEIN_WIDTH,
        intermediate_size=16,
        num_hidden_layers=KLEIN_LAYERS,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=4,
        max_position_embeddings=512,
    )
    return Qwen3ForCausalLM(config).eval()


def _flux2_vae() -> AutoencoderKLFlux2:
    torch.manual_seed(0)
    return AutoencoderKLFlux2(
        sample_size=32,
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
        block_out_channels=(4,),
        layers_per_block=1,
        latent_channels=1,
        norm_num_groups=1,
    ).eval()


def _flux2_transformer() -> Flux2Transformer2DModel:
    torch.manual_seed(0)
    return Flux2Transformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * KLEIN_WIDTH,
        axes_dims_rope=(4, 4, 4, 4),
    ).eval()
