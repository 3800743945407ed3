"""SANA-WM models of random weights."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTX2Video,
    FlowMatchEulerDiscreteScheduler,
    SanaWMPipeline,
    SanaWMTransformer3DModel,
)
from transformers import Gemma2Config, Gemma2ForCausalLM, GemmaTokenizerFast

from tests.pipelines.tiny.clip import byte_pairs
from tests.pipelines.tiny.text import WIDTH


def save_sana_wm(folder: Path) -> None:
    """Writes a world model whose frames are 32 times as wide as its latents, and 8 for each."""
    tokenizer = _tokenizer()
    torch.manual_seed(0)
    SanaWMPipeline(
        tokenizer=tokenizer,
        text_encoder=_text_encoder(tokenizer),
        vae=_vae(),
        transformer=_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)


def _tokenizer() -> Any:
    return GemmaTokenizerFast(
        tokenizer_object=byte_pairs(("<pad>", "<eos>", "<bos>", "<unk>")),
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
    )


def _text_encoder(tokenizer: Any) -> Gemma2ForCausalLM:
    config = Gemma2Config(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
        max_position_embeddings=4096,
    )
    return Gemma2ForCausalLM(config).eval()


def _transformer() -> SanaWMTransformer3DModel:
    return SanaWMTransformer3DModel(
        in_channels=4,
        num_layers=2,
        hidden_size=48,
        num_attention_heads=2,
        linear_head_dim=24,
        softmax_every_n=2,
        chunk_plucker_post_attn_blocks=2,
        caption_channels=WIDTH,
        mlp_ratio=1.0,
    ).eval()


def _vae() -> AutoencoderKLLTX2Video:
    return AutoencoderKLLTX2Video(
        latent_channels=4,
        block_out_channels=(8,) * 3,
        decoder_block_out_channels=(8,) * 3,
        layers_per_block=(1,) * 4,
        decoder_layers_per_block=(1,) * 4,
        spatio_temporal_scaling=(True,) * 3,
        decoder_spatio_temporal_scaling=(True,) * 3,
        decoder_inject_noise=(False,) * 4,
        downsample_type=("spatiotemporal",) * 3,
        upsample_residual=(False,) * 3,
        upsample_factor=(1,) * 3,
        patch_size=4,
        patch_size_t=1,
    ).eval()
