"""Text encoders of the T5 kind with random weights."""

import torch
from transformers import T5Config, T5EncoderModel

from tests.pipelines.tiny.text import WIDTH


def t5_encoder() -> T5EncoderModel:
    """Returns a text encoder for the T5 tokenizer."""
    torch.manual_seed(0)
    config = T5Config(vocab_size=256, d_model=WIDTH, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    return T5EncoderModel(config).eval()
