"""Kyutai STT: the checkpoint with its codec, and a decoder that steps many streams together.

The audio of a window becomes frames of codec tokens (80 ms each). In each step, the decoder takes
one frame of every stream and outputs one text token for it. Streams occupy the rows of fixed
tensors, each at its own position, so they can join and leave between any two steps. The step has
fixed shapes and never waits for the host, so it can be captured once as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from gpu import pcm
from gpu.types import Cancelled, EngineUnavailable
from gpu.words import Timing

# Silence after the delay, in addition to it: the same as the checkpoint's feature extractor adds.
TRAILING_SILENCE_S = 1.0
# Frames that are encoded in one pass. A GPU runs the kernels of a pass faster than they can be
# launched, so it gets longer ones; but the longest window would need 2 GB.
CHUNK_FRAMES, GPU_CHUNK_FRAMES = 125, 500
MEMORY_SHARE = 0.85  # of the free GPU memory, for the rows
MAX_ROWS = 1024
CPU_ROWS = 16
GRAPH_ROWS = (1, 4, 8, 16, 32, 64, 128, 256, 512)  # row counts for which a CUDA graph is captured


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

        Raises EngineUnavailable with what is wrong and what to do.
        """
        from transformers import (
            KyutaiSpeechToTextConfig,
            KyutaiSpeechToTextForConditionalGeneration,
            KyutaiSpeechToTextProcessor,
        )

        on_gpu = torch.device(device).type == "cuda"
        # As an argument, the type leaves the codec and the rotary frequencies in float32.
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
            raise EngineUnavailable(
                f"STT_MODEL_ID={source!r} cannot be loaded on {device}: {error}"
            ) from error

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
        """The number of steps that a window of that length takes, with the silence around it."""
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
        codec = self.model.codec_model
        wave = self._padded(samples).to(next(codec.parameters()).device)
        state: dict[str, Any] = {}
        parts = []
        for piece in self._chunks(wave):
            if stopped():
                raise Cancelled("the recording of this window has ended")
            out = codec.encode(piece, use_streaming=True, **state)
            state = {
                "encoder_past_key_values": out.encoder_past_key_values,
                "padding_cache": out.padding_cache,
            }
            parts.append(out.audio_codes[0, : self.config.num_codebooks].T)
        return torch.cat(parts).contiguous()

    def _padded(self, samples: np.ndarray[Any, Any]) -> torch.Tensor:
        before = int(self.timing.prefix * self.rate)
        after = int((self.timing.delay + TRAILING_SILENCE_S) * self.rate)
        return functional.pad(torch.from_numpy(np.array(samples, np.float32)), (before, after))

    def _chunks(self, wave: torch.Tensor) -> Iterator[torch.Tensor]:
        whole = wave.numel() // self.frame_samples * self.frame_samples
        frames = GPU_CHUNK_FRAMES if wave.is_cuda else CHUNK_FRAMES
        for piece in wave[:whole].split(frames * self.frame_samples):
            yield piece[None, None]


def _local_folder(source: str) -> str:
    """The folder with the files of a Hub id, downloaded if necessary.

    The Hub is not contacted for what is already complete: it may be down, and a request for every
    file takes time.
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

    They are the architecture of the weights and the base of the rotary frequencies. Raises
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


class RingDecoder:
    """The decoder over fixed rows, with a ring of keys and values as long as the sliding window.

    What an earlier stream left in a row is masked and never cleared: a slot counts only once the
    current stream has written it. A step computes the rows up to the last busy one, so a few
    streams do not take the time of a full batch: give new streams low rows first.
    """

    def __init__(self, checkpoint: Checkpoint, rows: int, max_frames: int) -> None:
        """`max_frames` is the number of frames that a window may have."""
        self.config = config = checkpoint.config
        self.model, self.rows = checkpoint.model, rows
        weight = self.model.model.layers[0].mlp.fc1.weight
        device, dtype = weight.device, weight.dtype
        self.window = int(config.sliding_window)
        ring = (
            config.num_hidden_layers,
            rows,
            config.num_attention_heads,
            self.window,
            config.head_dim,
        )
        self.keys = torch.zeros(ring, device=device, dtype=dtype)
        self.values = torch.zeros(ring, device=device, dtype=dtype)
        self.codes = torch.zeros(
            (rows, max_frames, config.num_codebooks), device=device, dtype=torch.int32
        )
        self.position = torch.zeros(rows, device=device, dtype=torch.long)
        self.token = torch.full((rows,), config.bos_token_id, device=device)
        self.active = torch.zeros(rows, device=device, dtype=torch.bool)
        self._slots = torch.arange(-(-self.window // 8) * 8, device=device)
        self._each_row = torch.arange(rows, device=device)
        self._busy: set[int] = set()
        self._frequencies = self.model.model.layers[0].self_attn.rotary_emb.inv_freq
        self._qkv = [_fuse(layer.self_attn) for layer in self.model.model.layers]
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        if device.type == "cuda":
            self._capture()

    def join(self, row: int, codes: torch.Tensor) -> None:
        """Starts a new stream in `row`; `codes` are [frames, codebooks]."""
        if codes.is_cuda:
            # They come from another CUDA stream, which would reuse their memory for its next window
            # while this copy still waits for the steps before it.
            codes.record_stream(torch.cuda.current_stream(codes.device))
        self.codes[row, : len(codes)] = codes.to(self.codes.device, torch.int32, non_blocking=True)
        self.position[row] = 0
        self.token[row] = self.config.bos_token_id
        self.active[row] = True
        self._busy.add(row)

    def leave(self, row: int) -> None:
        """Ends the stream in `row`; the row is idle until the next one joins."""
        self.active[row] = False
        self._busy.discard(row)

    @torch.inference_mode()
    def step(self) -> torch.Tensor:
        """Moves all active rows on by a frame; returns tokens [rows], valid until the next step."""
        rows = max(self._busy, default=-1) + 1
        if self._graphs:
            self._graphs[min(size for size in self._graphs if size >= rows)].replay()
        elif rows:
            self._step(rows)
        return self.token

    def _step(self, rows: int) -> None:
        decoder, position, active = self.model.model, self.position[:rows], self.active[:rows]
        hidden = decoder.embed_tokens(self._inputs(rows))[:, 0]  # [rows, hidden]
        rotation = self._rotation(position, hidden.dtype)
        slot, mask = (position % self.window).view(-1, 1, 1, 1), self._mask(position)
        for index, layer in enumerate(decoder.layers):
            attention, mlp = layer.self_attn, layer.mlp
            normed = _normalize(layer.input_layernorm, hidden)
            query, key, value = self._project(index, normed, *rotation)
            keys, values = self.keys[index, :rows], self.values[index, :rows]
            where = slot.expand_as(key)
            keys.scatter_(2, where, key)
            values.scatter_(2, where, value)
            context = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
            hidden = torch.addmm(hidden, context.flatten(1), attention.o_proj.linear.weight.T)
            normed = _normalize(layer.post_attention_layernorm, hidden)
            gate, up = functional.linear(normed, mlp.fc1.weight).chunk(2, dim=-1)
            hidden = torch.addmm(hidden, mlp.activation_fn(gate) * up, mlp.fc2.weight.T)
        chosen = self.model.lm_head(_normalize(decoder.norm, hidden)).argmax(-1)
        # In place, so that a captured graph keeps its buffers. An idle row rewrites its own slot.
        self.token[:rows].copy_(torch.where(active, chosen, self.token[:rows]))
        position.add_(active)

    def _inputs(self, rows: int) -> torch.Tensor:
        """Each row's last text token and its next frame: [rows, 1, 1 + codebooks]."""
        position = self.position[:rows]
        frame = (position - 1).clamp(0, self.codes.shape[1] - 1)
        codes = self.codes[self._each_row[:rows], frame].long()
        starting = (position == 0)[:, None]
        codes = codes.masked_fill(starting, self.config.audio_bos_token_id)
        return torch.cat((self.token[:rows, None], codes), dim=1)[:, None]

    def _mask(self, position: torch.Tensor) -> torch.Tensor:
        """Is added to the scores [rows, 1, 1, window]: -inf for slots that the stream has not
        written. Once the ring is full, there are none.

        The rows begin at multiples of eight values: attention on a GPU would copy any other mask in
        every layer, and a mask of booleans too.
        """
        hidden = self._slots > position[:, None]
        mask = torch.zeros(hidden.shape, device=position.device, dtype=self.keys.dtype)
        return mask.masked_fill(hidden, -torch.inf)[:, None, None, : self.window]

    def _rotation(
        self, position: torch.Tensor, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines [rows, 1, 1, 1, head_dim]; those sines that are subtracted negative."""
        angle = (position[:, None].float() * self._frequencies)[:, None, None, None]
        cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
        return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)

    def _project(
        self, index: int, hidden: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries and keys, rotated, and values, each [rows, heads, 1, head_dim]."""
        together = functional.linear(hidden, self._qkv[index])
        together = together.view(len(hidden), 3, self.config.num_attention_heads, 1, -1)
        rotated = together[:, :2]
        swapped = rotated.roll(rotated.shape[-1] // 2, dims=-1)
        query, key = torch.addcmul(rotated * cos, swapped, sin).unbind(1)
        return query, key, together[:, 2]

    def _capture(self) -> None:
        """Captures the step for several row counts: launching its kernels costs more than running
        them."""
        sizes = {self.rows, *(rows for rows in GRAPH_ROWS if rows < self.rows)}
        pool = torch.cuda.graph_pool_handle()  # only one graph runs at a time: they share memory
        for size in sorted(sizes, reverse=True):
            self._graphs[size] = self._capture_rows(size, pool)

    def _capture_rows(self, rows: int, pool: Any) -> torch.cuda.CUDAGraph:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(side):
            for _ in range(3):
                self._step(rows)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Another thread may allocate GPU memory meanwhile: "global" would end the capture.
        capture = torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local")
        with torch.inference_mode(), capture:
            self._step(rows)
        return graph


def _fuse(attention: Any) -> torch.Tensor:
    """One matrix for queries, keys and values; the weights of the layer become views of it."""
    projections = [p.linear for p in (attention.q_proj, attention.k_proj, attention.v_proj)]
    fused = torch.cat([p.weight.data for p in projections])
    for projection, part in zip(projections, fused.chunk(3), strict=True):
        projection.weight.data = part
    return fused


def _normalize(norm: Any, hidden: torch.Tensor) -> torch.Tensor:
    """What `norm` computes in seven kernels, in one."""
    return functional.rms_norm(hidden, hidden.shape[-1:], norm.weight, norm.eps)


def bytes_per_row(checkpoint: Checkpoint, max_frames: int) -> int:
    """The memory of one stream: its ring of keys and values, and its codes."""
    config = checkpoint.config
    size = int(checkpoint.model.model.layers[0].mlp.fc1.weight.element_size())
    width = config.num_attention_heads * config.head_dim
    ring = 2 * config.num_hidden_layers * config.sliding_window * width * size
    return int(ring + 4 * max_frames * config.num_codebooks)


def rows_that_fit(checkpoint: Checkpoint, max_frames: int) -> int:
    """The number of streams that fit into the memory of the device.

    Raises EngineUnavailable if not even one does.
    """
    if checkpoint.device.type != "cuda":
        return CPU_ROWS
    free, _ = torch.cuda.mem_get_info(checkpoint.device)
    rows = int(free * MEMORY_SHARE) // bytes_per_row(checkpoint, max_frames)
    if rows < 1:
        raise EngineUnavailable(
            f"Only {free >> 20} MB of GPU memory are free, which is not enough for one stream"
        )
    return min(rows // 8 * 8 or rows, MAX_ROWS)
