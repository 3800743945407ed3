"""The untrained model: a tokenizer made of the captions' words, a text encoder and a UNet."""

import random

import moving_shapes
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from training.moving_shapes.data import draw_clips, random_scene, vocabulary
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, PreTrainedTokenizerFast

TEXT_LENGTH = 24
TEXT_WIDTH = 96
WIDTHS = (112, 128)
SHIFT = 16.0
"""How far the noise levels lean to the noisy end, where a clip's layout is decided."""
WORD_SPREAD = 0.5
"""Spread of the untrained word vectors: wide, so that every word is told apart from the start."""
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token per word, lower case, punctuation ignored."""
    words = {word: index for index, word in enumerate([*SPECIAL, *vocabulary()])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unknown>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(Regex(r"[^\w\s]"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>",
        special_tokens=[(token, words[token]) for token in ("<start>", "<end>")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=TEXT_LENGTH,
        pad_token="<pad>",
        bos_token="<start>",
        eos_token="<end>",
        unk_token="<unknown>",
    )


def build_text_encoder(tokenizer: PreTrainedTokenizerFast) -> CLIPTextModelWithProjection:
    """A two-layer CLIP text model, untrained."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=moving_shapes.SKETCH * (moving_shapes.SIZE // moving_shapes.PATCH) ** 2,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TEXT_LENGTH,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    text_encoder = CLIPTextModelWithProjection(config)
    torch.nn.init.normal_(text_encoder.get_input_embeddings().weight, std=WORD_SPREAD)
    return text_encoder


def build_unet() -> UNet2DConditionModel:
    """Two levels, 16x16 and 8x8; the text steers every block's norms and is attended to at 8x8."""
    channels = moving_shapes.FRAMES * 3 * moving_shapes.PATCH**2
    unet = UNet2DConditionModel(
        sample_size=moving_shapes.SIZE // moving_shapes.PATCH,
        in_channels=channels + moving_shapes.PLACES + moving_shapes.SKETCH,
        out_channels=channels,
        conv_in_kernel=1,
        conv_out_kernel=1,
        block_out_channels=WIDTHS,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=16,
        attention_head_dim=4,
        cross_attention_dim=TEXT_WIDTH,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=2 * TEXT_WIDTH,
        resnet_time_scale_shift="scale_shift",
    )
    _start_from_principal_components(unet)
    return unet


def build_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Euler steps along the flow, leaning to the noisy end."""
    return FlowMatchEulerDiscreteScheduler(shift=SHIFT)


@torch.no_grad()
def _start_from_principal_components(unet: UNet2DConditionModel) -> None:
    """Let the first layer read, and the last one draw, the patches' principal components.

    They are what a patch's signal can be told from noise by; learning them would take most of a
    short training run.
    """
    patches = _sample_patches()
    mean = patches.mean(0)
    _, scale, basis = torch.linalg.svd(patches - mean, full_matrices=False)
    basis, scale = basis[: WIDTHS[0]], scale[: WIDTHS[0]] / len(patches) ** 0.5
    unet.conv_in.weight[:, : basis.shape[1]] = basis[:, :, None, None]
    unet.conv_in.bias.copy_(-basis @ mean)
    unet.conv_out.weight.copy_((basis * scale[:, None]).T[:, :, None, None])
    unet.conv_out.bias.copy_(mean)


def _sample_patches(clips: int = 256, patches: int = 8000) -> torch.Tensor:
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    latents = moving_shapes.fold(draw_clips([random_scene(rng) for _ in range(clips)], generator))
    rows = latents.movedim(1, -1).flatten(0, 2)
    return rows[torch.randperm(len(rows), generator=generator)[:patches]]
