"""Networks whose layers follow each other, run by ONNX Runtime on one core.

Their weights do not come as ONNX files, so that the graph is put together when one is loaded.
onnx and onnxruntime are imported then: web servers import this package, and load no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

OPSET, IR_VERSION = 17, 8  # which all recent versions of ONNX Runtime can run
INPUT = "input"

Array = np.ndarray[Any, np.dtype[np.float32]]
Shape = Sequence[int | str]  # a dimension that is not fixed has a name


class Graph:
    """Describes a network, layer by layer."""

    def __init__(self) -> None:
        self._layers: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def add(self, operator: str, *arrays: Any, **attributes: Any) -> None:
        """Append an operator of ONNX. `arrays` are its inputs besides the result of the layer
        before."""
        self._layers.append((operator, arrays, attributes))

    def add_lstm(self, found: dict[str, Array], *directions: str) -> None:
        """Append a layer of a torch.nn.LSTM: [frames, n, inputs] to [frames, n, cells].

        `directions` are its names in `found`: `l0` if it reads forwards only, or `l0` and
        `l0_reverse` if it reads in both directions, whose states are joined.
        """
        weight_ih, weight_hh, bias_ih, bias_hh = (
            np.stack([_gates(found[f"lstm.{kind}_{name}"]) for name in directions])
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        biases = np.concatenate([bias_ih, bias_hh], axis=1)
        cells = weight_hh.shape[2]
        direction = "bidirectional" if len(directions) == 2 else "forward"
        self.add("LSTM", weight_ih, weight_hh, biases, hidden_size=cells, direction=direction)
        self.add("Transpose", perm=[0, 2, 1, 3])  # from [frames, directions, n, cells]
        self.add("Reshape", np.array([0, 0, len(directions) * cells]))

    def network(self, inputs: Shape, results: Shape) -> Network:
        """Load it."""
        from onnx import TensorProto, helper, numpy_helper

        nodes, weights, last = [], [], INPUT
        for number, (operator, arrays, attributes) in enumerate(self._layers):
            names = [f"{number} {index}" for index in range(len(arrays))]
            weights += [numpy_helper.from_array(*pair) for pair in zip(arrays, names, strict=True)]
            nodes.append(helper.make_node(operator, [last, *names], [str(number)], **attributes))
            last = str(number)
        first, end = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in ((INPUT, inputs), (last, results))
        )
        graph = helper.make_graph(nodes, "network", [first], [end], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        return Network(model.SerializeToString())


class Network:
    """Loaded from an ONNX model with one input and one result. Thread-safe."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One core: the others recognize words meanwhile.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # which would never return memory
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(model, options, providers=providers)

    def __call__(self, inputs: Array) -> Array:
        (result,) = self._session.run(None, {INPUT: inputs})
        return np.asarray(result)


def _gates(found: Array) -> Array:
    """From the order of torch (input, forget, candidate, output) to that of ONNX (input, output,
    forget, candidate)."""
    ours = np.split(found, 4)
    return np.concatenate([ours[0], ours[3], ours[1], ours[2]])
