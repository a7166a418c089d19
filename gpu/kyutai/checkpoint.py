"""Kyutai STT: the checkpoint with its codec, which turns audio into frames of tokens (80 ms each).

`gpu.kyutai.ring_decoder` turns those into text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from gpu import pcm
from gpu.torch_errors import engine_error
from gpu.types import Cancelled, EngineUnavailable
from gpu.words import Timing

# Silence in addition to the delay: the same as the checkpoint's feature extractor adds.
TRAILING_SILENCE_S = 1.0
# Frames that are encoded in one pass. A GPU runs the kernels of a pass faster than they can be
# launched, so it gets longer ones; but the longest window would need 2 GB.
CHUNK_FRAMES, GPU_CHUNK_FRAMES = 125, 500


class Checkpoint:
    """Model, codec and tokenizer; every constant is read from them."""

    def __init__(self, model: Any, processor: Any, name: str) -> None:
        self.model, self.name = model.eval(), name
        self.tokenizer = processor.tokenizer
        self.config, extractor = model.config, processor.feature_extractor
        self.rate = int(extractor.sampling_rate)  # Hz
        self.frame_samples = int(model.config.codec_config.frame_size)
        self.timing = Timing(
            frame=self.frame_samples / self.rate,
            prefix=float(extractor.audio_silence_prefix_seconds),
            delay=float(extractor.audio_delay_seconds),
        )
        self.padding = int(model.config.pad_token_id)
        _check_supported(self)

    @classmethod
    def load(
        cls, source: str, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
    ) -> Checkpoint:
        """Loads it from a Hub id or a folder; by default bfloat16 on a GPU, float32 on the CPU.

        Raises EngineUnavailable; its text says what is wrong and what to do.
        """
        from transformers import (
            KyutaiSpeechToTextConfig,
            KyutaiSpeechToTextForConditionalGeneration,
            KyutaiSpeechToTextProcessor,
        )

        on_gpu = torch.device(device).type == "cuda"
        # Passed as an argument, the dtype leaves the codec and the rotary frequencies in float32.
        dtype = dtype or (torch.bfloat16 if on_gpu else torch.float32)
        try:
            folder = _local_folder(source)
            _check_config(KyutaiSpeechToTextConfig.get_config_dict(folder)[0])
            processor = KyutaiSpeechToTextProcessor.from_pretrained(folder)
            model, found = KyutaiSpeechToTextForConditionalGeneration.from_pretrained(
                folder, dtype=dtype, output_loading_info=True
            )
            missing = sorted(key for key in found["missing_keys"] if ".layers." in key)
            if missing:  # they would be random, and so would the words
                raise ValueError(f"{len(missing)} weights are missing, such as {missing[0]}")
            return cls(model.to(device), processor, source)
        except EngineUnavailable:
            raise
        except Exception as error:  # the libraries raise many kinds
            message = f"STT_MODEL_ID={source!r} cannot be loaded on {device}"
            raise engine_error(message, error, EngineUnavailable) from error

    def to(self, device: str | torch.device) -> Checkpoint:
        """Moves it, including a table that the codec keeps outside its buffers."""
        self.model.to(device)
        for module in self.model.codec_model.modules():
            if hasattr(module, "_embed"):
                module._embed = None
        return self

    @property
    def device(self) -> torch.device:
        """The device of the decoder."""
        return next(self.model.model.parameters()).device  # type: ignore[no-any-return]

    def frames(self, seconds: float) -> int:
        """The number of steps that a window of this length takes, including the silence around
        it."""
        padding = self.timing.prefix + self.timing.delay + TRAILING_SILENCE_S
        return round((seconds + padding) * self.rate) // self.frame_samples

    def starts_word(self, token: int) -> bool:
        """Whether the token begins a new word."""
        return str(self.tokenizer.convert_ids_to_tokens(token)).startswith("▁")

    def text(self, tokens: list[int]) -> str:
        """The text of the tokens."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    @torch.inference_mode()
    def encode(
        self, samples: np.ndarray[Any, Any], stopped: Callable[[], bool] = lambda: False
    ) -> torch.Tensor:
        """Codec tokens [frames, codebooks] of float32 samples in -1..1, with silence around them.

        The samples are encoded in chunks with the codec's streaming state. This gives the same
        codes as one pass, in memory that does not grow with the length. Raises Cancelled once
        `stopped()` returns true.
        """
        codec, parts = CodecStream(self), []
        for piece in self._chunks(self._padded(samples).to(codec.device)):
            if stopped():
                raise Cancelled("the recording of this window has ended")
            parts.append(codec.encode(piece))
        return torch.cat(parts).contiguous()

    @property
    def silence_around(self) -> tuple[int, int]:
        """The samples of silence that are decoded before and after a window."""
        after = self.timing.delay + TRAILING_SILENCE_S
        return int(self.timing.prefix * self.rate), int(after * self.rate)

    def _padded(self, samples: np.ndarray[Any, Any]) -> torch.Tensor:
        wave = torch.from_numpy(np.array(samples, np.float32))
        return functional.pad(wave, self.silence_around)

    def _chunks(self, wave: torch.Tensor) -> Iterator[torch.Tensor]:
        whole = wave.numel() // self.frame_samples * self.frame_samples
        frames = GPU_CHUNK_FRAMES if wave.is_cuda else CHUNK_FRAMES
        yield from wave[:whole].split(frames * self.frame_samples)


class CodecStream:
    """Encodes audio piece by piece: the codes are those of one pass over all pieces."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._codec = checkpoint.model.codec_model
        self._codebooks = checkpoint.config.num_codebooks
        self._state: dict[str, Any] = {}

    @property
    def device(self) -> torch.device:
        """The device on which the pieces must be."""
        return next(self._codec.parameters()).device  # type: ignore[no-any-return]

    @torch.inference_mode()
    def encode(self, piece: torch.Tensor) -> torch.Tensor:
        """Codec tokens [frames, codebooks] of the next samples, which are whole frames."""
        out = self._codec.encode(piece[None, None], use_streaming=True, **self._state)
        # The padding of each layer is a view, which would keep all of the layer's values alive.
        paddings = out.padding_cache.padding_cache
        paddings[:] = [part if part is None else part.clone() for part in paddings]
        self._state = {
            "encoder_past_key_values": out.encoder_past_key_values,
            "padding_cache": out.padding_cache,
        }
        codes: torch.Tensor = out.audio_codes[0, : self._codebooks].T
        return codes


def _local_folder(source: str) -> str:
    """The folder with the files of a Hub id, downloaded if necessary.

    The Hub is not contacted if the files are complete: it may be down, and a request for every file
    takes time.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if Path(source).is_dir():
        return source
    try:
        return str(snapshot_download(source, local_files_only=True))
    except LocalEntryNotFoundError:
        return str(snapshot_download(source))


def _check_config(config: dict[str, Any]) -> None:
    """Checks values of config.json for which the library would silently use defaults.

    These values are the architecture of the weights and the base of the rotary frequencies. Raises
    ValueError.
    """
    model_type = config.get("model_type")
    if model_type != "kyutai_speech_to_text":
        raise ValueError(
            f"its config.json is of a {model_type!r} model, not of Kyutai's speech to text"
        )
    if "rope_theta" not in config | (config.get("rope_parameters") or {}):
        raise ValueError("its config.json does not state rope_theta")


def _check_supported(checkpoint: Checkpoint) -> None:
    """Checks what RingDecoder relies on. Raises EngineUnavailable."""
    config = checkpoint.config
    rope = checkpoint.model.model.layers[0].self_attn.rotary_emb
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    expected = 1.0 / (config.rope_parameters["rope_theta"] ** exponents)
    requirements = {
        f"audio at {pcm.SAMPLE_RATE_HZ} Hz, not {checkpoint.rate}": checkpoint.rate
        == pcm.SAMPLE_RATE_HZ,
        "a codec at the same rate": config.codec_config.sampling_rate == checkpoint.rate,
        "one key head per query head": config.num_key_value_heads == config.num_attention_heads,
        "plain rotary positions": config.rope_parameters["rope_type"] == "default",
        "rotary frequencies in float32 that follow its rope_theta": (
            rope.inv_freq.dtype == torch.float32
            and torch.allclose(rope.inv_freq.cpu(), expected, rtol=1e-5)
        ),
        "a sliding window": bool(config.sliding_window),
        "a start token and an audio start token": (
            config.bos_token_id is not None and config.audio_bos_token_id is not None
        ),
        "a delay between sound and text": checkpoint.timing.delay > 0,
    }
    for requirement, is_met in requirements.items():
        if not is_met:
            raise EngineUnavailable(
                f"STT_MODEL_ID={checkpoint.name!r} is not supported: the engine needs {requirement}"
            )
