"""Qwen-Image and Z-Image models of random weights."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPlusPipeline,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from transformers import (
    BatchFeature,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3Config,
    Qwen3Model,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.pipelines.tiny.clip import byte_pairs, vocabulary

CHAT = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
WIDTH = 16
PAD, IMAGE, VIDEO = "<|endoftext|>", "<|image_pad|>", "<|video_pad|>"
SPECIAL = (PAD, "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", IMAGE, VIDEO)


def save_qwen_image(folder: Path) -> None:
    """Writes a text-to-image model that makes multiples of 16."""
    QwenImagePipeline(**qwen_parts()).save_pretrained(folder)


def save_qwen_image_edit(folder: Path) -> None:
    """Writes an editing model; needs torchvision."""
    parts = qwen_parts()
    small = {"shortest_edge": 56 * 56, "longest_edge": 56 * 56}
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=small),
        tokenizer=parts["tokenizer"],
        video_processor=Qwen2VLVideoProcessor(size=small),
        chat_template=CHAT,
    )
    QwenImageEditPlusPipeline(**parts, processor=processor).save_pretrained(folder)


def save_z_image(folder: Path) -> None:
    """Writes a text-to-image model that makes multiples of 16."""
    tokenizer = _tokenizer()
    ZImagePipeline(
        tokenizer=tokenizer,
        text_encoder=_qwen3(tokenizer),
        vae=_autoencoder(),
        transformer=_z_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    ).save_pretrained(folder)


def qwen_parts() -> dict[str, Any]:
    """Returns what Qwen's text-to-image and its edits have in common."""
    tokenizer = _tokenizer()
    return {
        "tokenizer": tokenizer,
        "text_encoder": _qwen2_5_vl(tokenizer),
        "vae": _qwen_autoencoder(),
        "transformer": _qwen_transformer(),
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    }


class PictureProcessor:
    """Joins pictures and text as Qwen2VLProcessor, which cannot be built without torchvision."""

    def __init__(self, tokenizer: Qwen2Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.images = Qwen2VLImageProcessorPil(
            size={"shortest_edge": 56 * 56, "longest_edge": 56 * 56}
        )

    def __call__(self, *, text: list[str], images: Any, **settings: Any) -> BatchFeature:
        pictures = self.images(images=images, return_tensors="pt")
        (told,) = text
        for grid in pictures["image_grid_thw"]:
            count = int(grid.prod()) // self.images.merge_size**2
            told = told.replace(IMAGE, "<|place|>" * count, 1)
        tokens = self.tokenizer([told.replace("<|place|>", IMAGE)], **settings)
        return BatchFeature({**tokens, **pictures})


def _tokenizer() -> Qwen2Tokenizer:
    vocab, merges = vocabulary(byte_pairs(SPECIAL))
    tokenizer = Qwen2Tokenizer(
        vocab=vocab, merges=merges, pad_token=PAD, extra_special_tokens=list(SPECIAL[1:])
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def _qwen2_5_vl(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    torch.manual_seed(0)
    ids = dict(zip(SPECIAL, tokenizer.convert_tokens_to_ids(list(SPECIAL)), strict=True))
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": WIDTH,
            "intermediate_size": WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default"},
            "vocab_size": len(tokenizer),
            "bos_token_id": ids[PAD],
            "eos_token_id": ids[PAD],
        },
        vision_config={
            "depth": 2,
            "hidden_size": WIDTH,
            "intermediate_size": WIDTH,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "fullatt_block_indexes": [1],
        },
        image_token_id=ids[IMAGE],
        video_token_id=ids[VIDEO],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def _qwen_autoencoder() -> AutoencoderKLQwenImage:
    torch.manual_seed(0)
    return AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    ).eval()


def _qwen_transformer() -> QwenImageTransformer2DModel:
    torch.manual_seed(0)
    return QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(8, 4, 4),
    ).eval()


def _qwen3(tokenizer: Qwen2Tokenizer) -> Qwen3Model:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=512,
    )
    return Qwen3Model(config).eval()


def _autoencoder() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[8] * 4,
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=8,
        scaling_factor=0.3611,
        shift_factor=0.1159,
    ).eval()


def _z_transformer() -> ZImageTransformer2DModel:
    torch.manual_seed(0)
    transformer = ZImageTransformer2DModel(
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDTH,
        axes_dims=[8, 4, 4],
        axes_lens=[1024, 32, 32],
    )
    with torch.no_grad():  # they are made of whatever was in memory
        transformer.x_pad_token.fill_(1.0)
        transformer.cap_pad_token.fill_(1.0)
    return transformer.eval()
