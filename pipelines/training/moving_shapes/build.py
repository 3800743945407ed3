"""The untrained model: a tokenizer made of the captions' words, a text encoder and two UNets."""

import moving_shapes
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from training.moving_shapes.words import ALIKE
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, PreTrainedTokenizerFast

TEXT_LENGTH = 32
TEXT_WIDTH = 96
KEY_WIDTHS = (64, 96, 96)
MOTION_WIDTHS = (64, 64)
SHIFT = 4.0
"""How far the noise levels lean to the noisy end, where a frame's layout is decided."""
WORD_SPREAD = 1.0
"""Spread of the untrained word vectors: wide, so that every word is told apart from the start."""
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token per word, the same for words that mean the same; case and punctuation ignored."""
    ids = {word: index for index, word in enumerate([*SPECIAL, *ALIKE])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unknown>"))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"[^\w\s]"), " "),
            *_one_word_for_each_meaning(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>",
        special_tokens=[(token, ids[token]) for token in ("<start>", "<end>")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=TEXT_LENGTH,
        pad_token="<pad>",
        bos_token="<start>",
        eos_token="<end>",
        unk_token="<unknown>",
    )


def _one_word_for_each_meaning() -> list[normalizers.Replace]:
    """The longest word first; Chinese ones are set apart, having no spaces between them."""
    meaning = {same: word for word, others in ALIKE.items() for same in others.split()}
    return [
        normalizers.Replace(Regex(rf"\b{same}\b"), meaning[same])
        if same.isascii()
        else normalizers.Replace(same, f" {meaning[same]} ")
        for same in sorted(meaning, key=len, reverse=True)
    ]


def build_text_encoder(tokenizer: PreTrainedTokenizerFast) -> CLIPTextModelWithProjection:
    """A two-layer CLIP text model, untrained."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=moving_shapes.SKETCH * moving_shapes.SIDE**2,
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


def build_key_unet() -> UNet2DConditionModel:
    """Draws the first frame."""
    channels = moving_shapes.CHANNELS
    return _build_unet(KEY_WIDTHS, channels, seen=channels, kernel=3)


def build_motion_unet() -> UNet2DConditionModel:
    """Draws the frames that follow a frame."""
    channels = moving_shapes.HOP * moving_shapes.CHANNELS
    seen = channels + moving_shapes.CHANNELS
    return _build_unet(MOTION_WIDTHS, channels + len(moving_shapes.MOVES), seen=seen, kernel=3)


def build_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Euler steps along the flow, leaning to the noisy end."""
    return FlowMatchEulerDiscreteScheduler(shift=SHIFT)


def _build_unet(
    widths: tuple[int, ...], channels: int, *, seen: int, kernel: int
) -> UNet2DConditionModel:
    """The text steers the norms of every block and is attended to in the innermost one."""
    return UNet2DConditionModel(
        sample_size=moving_shapes.SIDE,
        in_channels=seen + moving_shapes.SKETCH + moving_shapes.PLACES,
        out_channels=channels,
        conv_in_kernel=kernel,
        conv_out_kernel=kernel,
        block_out_channels=widths,
        down_block_types=("DownBlock2D",) * len(widths),
        up_block_types=("UpBlock2D",) * len(widths),
        layers_per_block=1,
        norm_num_groups=16,
        attention_head_dim=4,
        cross_attention_dim=TEXT_WIDTH,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=TEXT_WIDTH,
        resnet_time_scale_shift="scale_shift",
    )
