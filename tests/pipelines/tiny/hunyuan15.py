"""HunyuanVideo-1.5 models of random weights."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo15,
    ClassifierFreeGuidance,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideo15ImageToVideoPipeline,
    HunyuanVideo15Pipeline,
    HunyuanVideo15Transformer3DModel,
)
from transformers import (
    ByT5Tokenizer,
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLTextModel,
    Qwen2Tokenizer,
    SiglipImageProcessor,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from tests.pipelines.tiny.clip import byte_pairs, vocabulary
from tests.pipelines.tiny.t5 import t5_encoder
from tests.pipelines.tiny.text import WIDTH

AREA_SIDE = 64
PICTURE_SIDE = 54
PATCHES_ACROSS = 27
CHAT = (
    "{% for each in messages %}<|im_start|>{{ each.role }} {{ each.content }}<|im_end|>"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
)


def save_hunyuan_video15_t2v(folder: Path) -> None:
    """Writes a text-to-video model."""
    HunyuanVideo15Pipeline(**_parts("t2v")).save_pretrained(folder)


def save_hunyuan_video15_i2v(folder: Path) -> None:
    """Writes an image-to-video model whose clips have as many pixels as a square of 64."""
    side = {"height": PICTURE_SIDE, "width": PICTURE_SIDE}
    HunyuanVideo15ImageToVideoPipeline(
        **_parts("i2v"),
        image_encoder=_picture_encoder(),
        feature_extractor=SiglipImageProcessor(size=side),
    ).save_pretrained(folder)


def _parts(task: str) -> dict[str, Any]:
    tokenizer = _tokenizer()
    return {
        "tokenizer": tokenizer,
        "text_encoder": _text_encoder(tokenizer),
        "tokenizer_2": ByT5Tokenizer(),
        "text_encoder_2": t5_encoder(),
        "transformer": _transformer(task),
        "vae": _vae(),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=5.0),
        "guider": ClassifierFreeGuidance(guidance_scale=6.0),
    }


def _tokenizer() -> Any:
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    vocab, merges = vocabulary(byte_pairs(special))
    tokenizer = Qwen2Tokenizer(
        vocab=vocab,
        merges=merges,
        unk_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def _text_encoder(tokenizer: Any) -> Qwen2_5_VLTextModel:
    torch.manual_seed(0)
    config = Qwen2_5_VLTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [1, 1, 2],
        },
    )
    return Qwen2_5_VLTextModel(config).eval()


def _picture_encoder() -> SiglipVisionModel:
    torch.manual_seed(0)
    config = SiglipVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=PICTURE_SIDE,
        patch_size=PICTURE_SIDE // PATCHES_ACROSS,
    )
    return SiglipVisionModel(config).eval()


def _transformer(task: str) -> HunyuanVideo15Transformer3DModel:
    torch.manual_seed(0)
    return HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        text_embed_dim=16,
        text_embed_2_dim=WIDTH,
        image_embed_dim=16,
        rope_axes_dim=(2, 2, 4),
        target_size=AREA_SIDE,
        task_type=task,
    ).eval()


def _vae() -> AutoencoderKLHunyuanVideo15:
    torch.manual_seed(0)
    return AutoencoderKLHunyuanVideo15(
        latent_channels=4,
        block_out_channels=(8,) * 5,
        layers_per_block=1,
        spatial_compression_ratio=16,
        temporal_compression_ratio=4,
    ).eval()
