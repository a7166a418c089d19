"""A decoder that steps many streams of codec tokens together.

In each step, the decoder takes one frame of every stream and outputs one text token for it. Streams
occupy the rows of fixed tensors, each at its own position, so they can join and leave between any
two steps. The step has fixed shapes and never waits for the host, so it can be captured once as a
CUDA graph.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as functional

from gpu.kyutai.checkpoint import Checkpoint
from gpu.types import EngineUnavailable

MEMORY_SHARE = 0.85  # of the free GPU memory, for the rows
MAX_ROWS = 1024
CPU_ROWS = 16
GRAPH_ROWS = (1, 4, 8, 16, 32, 64, 128, 256, 512)  # row counts for which a CUDA graph is captured


class RingDecoder:
    """The decoder over fixed rows, with a ring of keys and values as long as the sliding window.

    What an earlier stream left in a row is masked and never cleared: a slot counts only once the
    current stream has written it. A step computes the rows up to the last active one, so a few
    streams take less time than a full batch: give new streams the lowest free row.

    A row that is not active keeps its position and its last token. A step may write into the slot
    of its next position, which its own next step overwrites before it is read.
    """

    def __init__(self, checkpoint: Checkpoint, rows: int, max_frames: int) -> None:
        """`max_frames` is the number of frames that a row holds: those of a whole window, or those
        that a live stream has not decoded yet."""
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
        self._active: set[int] = set()  # what `active` will be for the next step
        self._frequencies = self.model.model.layers[0].self_attn.rotary_emb.inv_freq
        self._qkv = [_fuse(layer.self_attn) for layer in self.model.model.layers]
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        if device.type == "cuda":
            self._capture()

    def join(self, row: int, codes: torch.Tensor | None = None) -> None:
        """Starts a new stream in `row`, with its first codes [frames, codebooks]."""
        if codes is not None:
            self.feed(row, 0, codes)
        self.position[row] = 0
        self.token[row] = self.config.bos_token_id
        self.active[row] = True
        self._active.add(row)

    def feed(self, row: int, first: int, codes: torch.Tensor) -> None:
        """Adds codes [frames, codebooks] to the stream in `row`, which has `first` frames so far.

        They replace the oldest frames, which must have been decoded. Position p needs frame p - 1.
        """
        if codes.is_cuda:
            # The codes come from another CUDA stream, which would reuse their memory for its next
            # window while this copy still waits for earlier steps.
            codes.record_stream(torch.cuda.current_stream(codes.device))
        codes = codes.to(self.codes.device, torch.int32, non_blocking=True)
        slot = first % self.codes.shape[1]
        head = self.codes.shape[1] - slot
        self.codes[row, slot : slot + len(codes)] = codes[:head]
        if len(codes) > head:
            self.codes[row, : len(codes) - head] = codes[head:]

    def leave(self, row: int) -> None:
        """Ends the stream in `row`; the row is idle until the next one joins."""
        self.active[row] = False
        self._active.discard(row)

    def activate_only(self, rows: Iterable[int]) -> None:
        """The next steps advance only these rows. Does not wait for the device."""
        wanted = set(rows)
        if wanted == self._active:
            return
        self._active = wanted
        host = torch.zeros(self.rows, dtype=torch.bool, pin_memory=self.active.is_cuda)
        host[sorted(wanted)] = True
        self.active.copy_(host, non_blocking=True)

    @torch.inference_mode()
    def step(self) -> torch.Tensor:
        """Advances all active rows by one frame; returns tokens [rows], valid until the next
        step."""
        rows = max(self._active, default=-1) + 1
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
        frame = (position - 1) % self.codes.shape[1]
        codes = self.codes[self._each_row[:rows], frame].long()
        starting = (position == 0)[:, None]
        codes = codes.masked_fill(starting, self.config.audio_bos_token_id)
        return torch.cat((self.token[:rows, None], codes), dim=1)[:, None]

    def _mask(self, position: torch.Tensor) -> torch.Tensor:
        """The mask that is added to the scores [rows, 1, 1, window]: -inf for slots that the stream
        has not written. Once the ring is full, there are none.

        The rows begin at multiples of eight values: attention on a GPU would copy any other mask in
        every layer, and also a boolean mask.
        """
        hidden = self._slots > position[:, None]
        mask = torch.zeros(hidden.shape, device=position.device, dtype=self.keys.dtype)
        return mask.masked_fill(hidden, -torch.inf)[:, None, None, : self.window]

    def _rotation(
        self, position: torch.Tensor, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines [rows, 1, 1, 1, head_dim]; sines that are subtracted are negative."""
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
    """The result of `norm`, computed by one kernel instead of seven."""
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
