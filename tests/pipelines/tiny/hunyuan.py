"""HunyuanVideo models of random weights."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideoImageToVideoPipeline,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
)
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlamaModel,
    LlamaTokenizerFast,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from tests.pipelines.tiny.clip import byte_pairs, clip_pictures, clip_text_encoder, clip_tokenizer

MARKS = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<image>")
PICTURE_SIDE = 48
PATCHES_ACROSS = 24
"""The prompt of the model leaves room for the patches of a picture, 24 by 24."""


def save_hunyuan_video_t2v(folder: Path) -> None:
    """Writes a text-to-video model."""
    tokenizer = _llama_tokenizer()
    HunyuanVideoPipeline(
        text_encoder=LlamaModel(_llama(tokenizer)).eval(),
        tokenizer=tokenizer,
        transformer=_transformer(in_channels=4),
        **_others(),
    ).save_pretrained(folder)


def save_hunyuan_video_i2v(folder: Path) -> None:
    """Writes an image-to-video model whose first latent frame is the picture's."""
    _save_i2v(folder, _transformer(in_channels=4, image_condition_type="token_replace"))


def save_hunyuan_video_i2v_33_channels(folder: Path) -> None:
    """Writes an image-to-video model that is told of the picture in more channels."""
    _save_i2v(folder, _transformer(in_channels=9, image_condition_type="latent_concat"))


def _save_i2v(folder: Path, transformer: HunyuanVideoTransformer3DModel) -> None:
    tokenizer = _llama_tokenizer()
    HunyuanVideoImageToVideoPipeline(
        text_encoder=_llava(tokenizer),
        tokenizer=tokenizer,
        transformer=transformer,
        image_processor=clip_pictures(PICTURE_SIDE),
        **_others(),
    ).save_pretrained(folder)


def _others() -> dict[str, Any]:
    tokenizer = clip_tokenizer()
    return {
        "vae": _vae(),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=7.0),
        "text_encoder_2": clip_text_encoder(tokenizer, width=8),
        "tokenizer_2": tokenizer,
    }


def _llama_tokenizer() -> LlamaTokenizerFast:
    special = ("<pad>", "</s>", "<s>", "<unk>")
    return LlamaTokenizerFast(
        tokenizer_object=byte_pairs((*special, *MARKS)),
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        unk_token="<unk>",
    )


def _llama(tokenizer: Any) -> LlamaConfig:
    torch.manual_seed(0)
    return LlamaConfig(
        hidden_size=16,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=4,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def _llava(tokenizer: Any) -> LlavaForConditionalGeneration:
    vision = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=37,
        projection_dim=32,
        num_attention_heads=4,
        num_hidden_layers=2,
        image_size=PICTURE_SIDE,
        patch_size=PICTURE_SIDE // PATCHES_ACROSS,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=_llama(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlavaForConditionalGeneration(config).eval()


def _transformer(
    *, in_channels: int, image_condition_type: str | None = None
) -> HunyuanVideoTransformer3DModel:
    torch.manual_seed(0)
    return HunyuanVideoTransformer3DModel(
        in_channels=in_channels,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=2,
        patch_size_t=1,
        guidance_embeds=True,
        text_embed_dim=16,
        pooled_projection_dim=8,
        rope_axes_dim=(2, 4, 4),
        image_condition_type=image_condition_type,
    ).eval()


def _vae() -> AutoencoderKLHunyuanVideo:
    torch.manual_seed(0)
    return AutoencoderKLHunyuanVideo(
        latent_channels=4,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4,
        up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        block_out_channels=(8,) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        scaling_factor=0.476986,
        spatial_compression_ratio=8,
        temporal_compression_ratio=4,
    ).eval()
