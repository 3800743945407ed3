"""LTX-2 models of random weights: pictures and sound."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    FlowMatchEulerDiscreteScheduler,
    LTX2ImageToVideoPipeline,
    LTX2VideoTransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    GemmaTokenizerFast,
)

from tests.pipelines.tiny.clip import byte_pairs
from tests.pipelines.tiny.text import WIDTH


def save_ltx2_i2v(folder: Path) -> None:
    """Writes an image-to-video model that makes stereo sound of 16 kHz."""
    tokenizer = _tokenizer()
    torch.manual_seed(0)
    LTX2ImageToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=_text_encoder(tokenizer),
        connectors=_connectors(),
        transformer=_transformer(),
        vae=_vae(),
        audio_vae=_audio_vae(),
        vocoder=_vocoder(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)


def _tokenizer() -> Any:
    special = ("<pad>", "<eos>", "<bos>", "<unk>")
    return GemmaTokenizerFast(
        tokenizer_object=byte_pairs(special),
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
    )


def _text_encoder(tokenizer: Any) -> Gemma3ForConditionalGeneration:
    text = Gemma3TextConfig(
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
        max_position_embeddings=2048,
    )
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    tokens = {"image_token_index": 3, "boi_token_index": 3, "eoi_token_index": 3}
    config = Gemma3Config(
        text_config=text.to_dict(), vision_config=vision, mm_tokens_per_image=4, **tokens
    )
    return Gemma3ForConditionalGeneration(config).eval()


def _connectors() -> LTX2TextConnectors:
    shapes = {
        f"{kind}_connector_{name}": value
        for kind in ("video", "audio")
        for name, value in {
            "num_attention_heads": 4,
            "attention_head_dim": 8,
            "num_layers": 1,
            "num_learnable_registers": None,
        }.items()
    }
    return LTX2TextConnectors(
        caption_channels=WIDTH,
        text_proj_in_factor=3,
        connector_rope_base_seq_len=32,
        rope_theta=10000.0,
        rope_double_precision=False,
        causal_temporal_positioning=False,
        rope_type="split",
        **shapes,
    ).eval()


def _transformer() -> LTX2VideoTransformer3DModel:
    return LTX2VideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        audio_in_channels=4,
        audio_out_channels=4,
        audio_num_attention_heads=2,
        audio_attention_head_dim=4,
        audio_cross_attention_dim=8,
        num_layers=2,
        caption_channels=WIDTH,
        rope_double_precision=False,
        rope_type="split",
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


def _audio_vae() -> AutoencoderKLLTX2Audio:
    return AutoencoderKLLTX2Audio(
        base_channels=4,
        output_channels=2,
        ch_mult=(1,),
        num_res_blocks=1,
        attn_resolutions=None,
        in_channels=2,
        resolution=32,
        latent_channels=2,
        norm_type="pixel",
        causality_axis="height",
        dropout=0.0,
        mid_block_add_attention=False,
        sample_rate=16000,
        mel_hop_length=160,
        is_causal=True,
        mel_bins=8,
    ).eval()


def _vocoder() -> LTX2Vocoder:
    return LTX2Vocoder(
        in_channels=16,
        hidden_channels=32,
        out_channels=2,
        upsample_kernel_sizes=[32, 20],
        upsample_factors=[16, 10],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
        output_sampling_rate=16000,
    ).eval()
