"""A Kyutai STT model with random weights, small enough to be created in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    KyutaiSpeechToTextConfig,
    KyutaiSpeechToTextFeatureExtractor,
    KyutaiSpeechToTextForConditionalGeneration,
    KyutaiSpeechToTextProcessor,
    PreTrainedTokenizerFast,
)

from gpu.kyutai.checkpoint import Checkpoint

VOCABULARY, CODEBOOK, CODEBOOKS = 64, 32, 4
# The devices on which the engine is tested.
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def config(window: int = 24, **sizes: Any) -> KyutaiSpeechToTextConfig:
    """The architecture of the real model with small sizes; `sizes` override them."""
    text = sizes.pop("vocab_size", VOCABULARY)
    books = sizes.pop("num_codebooks", CODEBOOKS)
    book = sizes.pop("codebook_size", CODEBOOK)
    codec = {
        "model_type": "mimi",
        "sampling_rate": 24_000,
        "num_quantizers": books,
        "codebook_size": book,
        "codebook_dim": 16,
        "vector_quantization_hidden_dimension": 16,
        "hidden_size": 32,
        "num_filters": 4,
        "upsampling_ratios": [8, 6, 5, 4],
        "upsample_groups": 32,
        "num_hidden_layers": 2,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "sliding_window": 16,
        "use_cache": False,
    }
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 176}
    return KyutaiSpeechToTextConfig(
        vocab_size=text,
        codebook_vocab_size=book + 1,
        num_codebooks=books,
        sliding_window=window,
        max_position_embeddings=2 * window,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        audio_bos_token_id=book,
        audio_pad_token_id=text + books * (book + 1),
        pad_token_id=3,
        bos_token_id=text - 1,
        tie_word_embeddings=False,
        codec_config=codec,
        **(shape | sizes),
    )


def model(seed: int = 0, window: int = 24, **sizes: Any) -> Any:
    """Random weights, large enough that tokens differ from step to step."""
    torch.manual_seed(seed)
    made = KyutaiSpeechToTextForConditionalGeneration(config(window, **sizes)).eval()
    noise = torch.Generator().manual_seed(seed + 1)
    for name, buffer in made.codec_model.named_buffers():
        if name.endswith("embed_sum"):  # a fresh codec has empty codebooks
            buffer.copy_(torch.randn(buffer.shape, generator=noise) * 0.05)
    for weight in [*made.model.parameters(), made.lm_head.weight]:
        if weight.dim() > 1:
            weight.data.mul_(4.0)
    made.generation_config.audio_window_size = 1  # as in the published checkpoint
    made.generation_config.cache_implementation = "sliding_window"
    made.generation_config._from_model_config = False  # else the line above is lost on saving
    made.codec_model.generation_config.use_cache = True
    made.codec_model.generation_config._from_model_config = False
    return made


def processor(delay: float = 2.5, prefix: float = 1.0) -> KyutaiSpeechToTextProcessor:
    """The real feature extractor's values, and a tokenizer made of a few pieces."""
    pieces = ["<unk>", "<s>", "</s>", "<pad>"]
    pieces += [f"▁{word}" for word in ("the", "a", "ship", "sea", "and", "of", "we", "are", "glad")]
    pieces += ["▁", *"abcdefghijklmnopqrstuvwxyz.,'?!-"]
    pieces += [f"▁w{n}" for n in range(VOCABULARY - 1 - len(pieces))]
    tokenizer = Tokenizer(models.Unigram([(p, -float(n)) for n, p in enumerate(pieces)], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        clean_up_tokenization_spaces=False,
    )
    extractor = KyutaiSpeechToTextFeatureExtractor(
        audio_delay_seconds=delay, audio_silence_prefix_seconds=prefix
    )
    return KyutaiSpeechToTextProcessor(extractor, wrapped)


def checkpoint(seed: int = 0, window: int = 24, **sizes: Any) -> Checkpoint:
    """A tiny model, with full float32 precision on a GPU too, so that tokens are equal."""
    torch.backends.cudnn.allow_tf32 = False
    return Checkpoint(model(seed, window, **sizes), processor(), "tiny")


def save(folder: Path, window: int = 24, **timing: float) -> None:
    """Write model and processor as a folder that `STT_MODEL_ID` can name."""
    model(window=window).save_pretrained(folder)
    processor(**timing).save_pretrained(folder)
