"""An ONNX graph, written node by node."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 20, 10
Arrays = Mapping[str, np.ndarray]


class Graph:
    """An ONNX graph in the making.

    Args:
        weights: A network's arrays by name.
        half: Store the weights as float16, followed by a cast to float32.
    """

    def __init__(self, weights: Arrays, half: bool) -> None:
        self._weights, self._half = weights, half
        self._nodes: list[Any] = []
        self._arrays: dict[str, np.ndarray] = {}

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output, and returns the output's name."""
        return self.nodes_of(operator, list(inputs), 1, **attributes)[0]

    def nodes_of(self, operator: str, inputs: list[str], outputs: int, **attributes: Any) -> list[str]:
        """Adds a node, and returns the names of its outputs."""
        names = [f"v{len(self._nodes)}.{number}" for number in range(outputs)]
        self._nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names

    def constant(self, values: np.ndarray) -> str:
        """Adds an array that is no weight."""
        name = f"c{len(self._arrays)}"
        self._arrays[name] = values
        return name

    def weight(self, name: str) -> str:
        """Adds one of the weights."""
        values = np.asarray(self._weights[name], np.float32)
        if not self._half:
            self._arrays[name] = values
            return name
        self._arrays[f"{name}.half"] = values.astype(np.float16)
        return self.node("Cast", f"{name}.half", to=TensorProto.FLOAT)

    def has(self, name: str) -> bool:
        """Whether there is such a weight."""
        return name in self._weights

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a weight."""
        return tuple(self._weights[name].shape)

    def convolution(self, x: str, name: str, operator: str = "Conv", *, bias: bool = False, **attributes: Any) -> str:
        """Adds a convolution with the weights of a layer."""
        biases = [self.weight(f"{name}.bias")] if bias else []
        return self.node(operator, x, self.weight(f"{name}.weight"), *biases, **attributes)

    def norm(self, x: str, name: str) -> str:
        """Adds an instance normalisation."""
        return self.node(
            "InstanceNormalization", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), epsilon=1e-5
        )

    def finish(self, x: str, output: str, shape: list[int | str], inputs: Mapping[str, list[int | str]]) -> bytes:
        """Names the output, and returns the serialised model."""
        self._nodes[-1].output[0] = output
        graph = helper.make_graph(
            self._nodes,
            "stargan",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, form) for name, form in inputs.items()],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(values, name) for name, values in self._arrays.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        content: bytes = model.SerializeToString()
        return content
