"""Tokenizers and text encoders of random weights, small enough for a test."""

from typing import Any

import torch
from tokenizers import Tokenizer, models, trainers
from transformers import T5Config, T5TokenizerFast, UMT5EncoderModel

SENTENCES = [
    f"a {thing} in the {place}" for thing in ["cat", "dog", "car"] for place in ("sun", "sea")
]
WIDTH = 32


def t5_tokenizer() -> Any:
    """Returns a unigram tokenizer of a few dozen pieces."""
    tokenizer = Tokenizer(models.Unigram())
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=64, special_tokens=special, unk_token="<unk>")
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return T5TokenizerFast(tokenizer_object=tokenizer)


def umt5_encoder() -> Any:
    """Returns the text encoder of the Wan models."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=256,
        d_model=WIDTH,
        d_kv=8,
        d_ff=37,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
    )
    return UMT5EncoderModel(config).eval()
