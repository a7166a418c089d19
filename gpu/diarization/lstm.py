"""Layers of LSTM cells, computed with NumPy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]


class Layer(NamedTuple):
    """Its weights, prepared by `layer`."""

    from_input: Array  # [inputs, 4 * cells]
    from_state: Array  # [cells, 4 * cells]
    bias: Array  # [4 * cells]


def layer(weights: dict[str, Array], name: str) -> Layer:
    """The layer of a torch.nn.LSTM, such as `l0` or `l0_reverse`, of weights by their names.

    Rows that lead to a sigmoid are halved: it is computed as (1 + tanh(x / 2)) / 2, so that one
    call of tanh serves all four gates.
    """
    bias = weights[f"lstm.bias_ih_{name}"] + weights[f"lstm.bias_hh_{name}"]
    cells = len(bias) // 4
    half = np.full(4 * cells, 0.5, np.float32)
    half[2 * cells : 3 * cells] = 1.0  # the candidate of the cells is a tanh already
    from_input, from_state = (
        np.ascontiguousarray((weights[f"lstm.weight_{kind}_{name}"] * half[:, None]).T)
        for kind in ("ih", "hh")
    )
    return Layer(from_input, from_state, bias * half)


def run(x: Array, layer: Layer) -> Array:
    """The states [frames, n, cells] for inputs [frames, n, any], from the first frame on."""
    frames, count, _ = x.shape
    cells_count = len(layer.from_state)
    inputs = x.reshape(frames * count, -1) @ layer.from_input + layer.bias
    inputs = inputs.reshape(frames, count, -1)
    state, cells = np.zeros((2, count, cells_count), np.float32)
    gates = np.empty((count, 4 * cells_count), np.float32)
    states = np.empty((frames, count, cells_count), np.float32)
    for frame in range(frames):
        np.matmul(state, layer.from_state, out=gates)
        gates += inputs[frame]
        np.tanh(gates, out=gates)
        keep_new, keep_old, new, shown = np.split(gates, 4, axis=1)
        cells *= keep_old * 0.5 + 0.5
        cells += (keep_new * 0.5 + 0.5) * new
        state = np.multiply(np.tanh(cells), shown * 0.5 + 0.5, out=states[frame])
    return states
