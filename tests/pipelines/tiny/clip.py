"""Tokenizers made of byte pairs and CLIP models of random weights."""

import json
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from tests.pipelines.tiny.text import SENTENCES, WIDTH

WORD_END = "</w>"


def byte_pairs(special: Sequence[str] = (), *, word_end: str = "") -> Tokenizer:
    """Returns a trained tokenizer that knows every byte."""
    ending: dict[str, Any] = {"end_of_word_suffix": word_end} if word_end else {}
    tokenizer = Tokenizer(models.BPE(**ending))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        **ending,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def vocabulary(tokenizer: Tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Returns the pieces of a tokenizer and how they are merged."""
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [(first, second) for first, second in model["merges"]]


def clip_tokenizer() -> CLIPTokenizer:
    """Returns a tokenizer of the CLIP kind."""
    vocab, merges = vocabulary(byte_pairs(word_end=WORD_END))
    pieces = [letter + WORD_END for letter in sorted(pre_tokenizers.ByteLevel.alphabet())]
    for piece in [*pieces, "<|startoftext|>", "<|endoftext|>"]:
        vocab.setdefault(piece, len(vocab))
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


def clip_text_encoder(tokenizer: Any, *, width: int = WIDTH) -> CLIPTextModel:
    """Returns a text encoder for a tokenizer."""
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        projection_dim=width,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    return CLIPTextModel(config).eval()


def clip_vision_encoder(*, width: int = WIDTH, side: int = 32) -> CLIPVisionModelWithProjection:
    """Returns an encoder of square pictures."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=side,
        intermediate_size=37,
        patch_size=8,
    )
    return CLIPVisionModelWithProjection(config).eval()


def clip_pictures(side: int = 32) -> CLIPImageProcessor:
    """Returns what scales pictures for the encoder."""
    return CLIPImageProcessor(size=side, crop_size=side)
